"""bfloat16 stays inside the networks: frames, features that are compared, and losses are float32 or wider."""

from __future__ import annotations

import torch
from torch import Tensor


def full(tensor: Tensor) -> Tensor:
    """The tensor in float32; float64 stays as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
