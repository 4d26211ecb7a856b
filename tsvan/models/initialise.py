"""Initial weights (section A: "Xavier initialization for each layer")."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from tsvan.models.fusion import Subnet
from tsvan.models.tables import KERNEL_SIZE

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.Linear)
_TRANSPOSED = (nn.ConvTranspose2d,)
_NEAR_IDENTITY = 0.1
"""`kernel_init: identity`: share that is kept of the weights which let a kernel depend on the motion. Not zero, or the
layers before would have no gradient."""


def initialise(module: nn.Module, scheme: Literal["paper", "release"]) -> None:
    """Draw every weight of `module` from Xavier-uniform with the gain of ReLU, in place.

    Biases keep PyTorch's default in both schemes, batch norm its scale 1 and shift 0.

    Args:
        scheme: `paper`: all weights; `release`: transposed convolutions keep PyTorch's default.
    """
    kinds = _CONVOLUTIONS + _TRANSPOSED if scheme == "paper" else _CONVOLUTIONS
    gain = nn.init.calculate_gain("relu")
    for layer in module.modules():
        if isinstance(layer, kinds):
            nn.init.xavier_uniform_(layer.weight, gain=gain)


def start_kernels_as_identity(module: nn.Module) -> None:
    """Change the last layer of every vertical and horizontal kernel of `module`, in place, so that S(f) is near f.

    A tenth of its weights stays, its bias becomes 1 at the centre tap and 0 at the others. As drawn, the 25 taps
    amplify a map, and generated frames leave [-1, 1]. Neither the paper nor the release does this.
    """
    for subnet in module.modules():
        if isinstance(subnet, Subnet):
            _near_identity(subnet.vertical[-1])
            _near_identity(subnet.horizontal[-1])


def _near_identity(layer: nn.Module) -> None:
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.mul_(_NEAR_IDENTITY)
        layer.bias.zero_()
        layer.bias[KERNEL_SIZE // 2] = 1.0
