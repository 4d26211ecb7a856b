"""bfloat16 stays inside the networks: frames, features that are compared, and losses are float32 or wider."""

from __future__ import annotations

import torch
from torch import Tensor


def full(tensor: Tensor) -> Tensor:
    """The tensor in float32; float64 stays as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """What matrix products compute in here: autocast's type where it is on, else the tensor's own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype
