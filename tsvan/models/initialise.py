"""Initial weights (section A: "Xavier initialization for each layer")."""

from __future__ import annotations

from typing import Literal

from torch import nn

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.Linear)
_TRANSPOSED = (nn.ConvTranspose2d,)


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
