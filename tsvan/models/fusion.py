"""The separable adaptive convolution S and the masked fusion of a scale (figure 1 of the supplement)."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsvan.models.kernels import adaptive_torch
from tsvan.models.kernels.triton_runs import triton_runs
from tsvan.models.precision import full
from tsvan.models.stack import Stack
from tsvan.models.statistics import Apart
from tsvan.models.tables import KERNEL_SIZE, Architecture


def fuse(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor | None) -> Tensor:
    """Compute f <- M * S(f) + (1 - M) * f, or S(f) without a mask.

    S(f)[c, y, x] = sum_ij v[i, y, x] h[j, y, x] f_pad[c, y + i, x + j], with replicate padding, all channels alike.

    Args:
        features: f, (B, C, H, W).
        vertical: v, (B, k, H, W) with k odd.
        horizontal: h, (B, k, H, W).
        mask: M, (B, 1, H, W).

    Returns:
        (B, C, H, W) in float32 or, when given, float64; its memory format is channels-last.
    """
    if mask is None:
        mask = torch.ones_like(vertical[:, :1])
    inputs = [full(item).permute(0, 2, 3, 1).contiguous() for item in (features, vertical, horizontal)]
    return _Fusion.apply(*inputs, full(mask)[:, 0].contiguous()).permute(0, 3, 1, 2)


def adaptive_convolution(features: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Compute S(f) alone; shapes are as in `fuse`."""
    return fuse(features, vertical, horizontal, None)


class _Fusion(torch.autograd.Function):
    """The autograd function of the fusion, channels last. Only the inputs are kept for the gradient."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
        ctx.save_for_backward(features, vertical, horizontal, mask)
        return _arithmetic(features, vertical).forward(features, vertical, horizontal, mask)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        inputs = ctx.saved_tensors
        return _arithmetic(*inputs[:2]).backward(gradients[0].contiguous(), *inputs)


def _arithmetic(features: Tensor, vertical: Tensor) -> ModuleType:
    """Choose who computes: the kernels of the device where they apply, else PyTorch."""
    if vertical.shape[-1] != KERNEL_SIZE:
        return adaptive_torch
    if features.device.type == "cuda" and features.dtype != torch.float32:
        return adaptive_torch
    return _kernels_of(features.device.type)


@cache
def _kernels_of(device: str) -> ModuleType:
    if device == "cpu":
        from tsvan.models.kernels import adaptive_cpu

        return adaptive_cpu
    if device == "cuda" and triton_runs():
        from tsvan.models.kernels import adaptive_cuda

        return adaptive_cuda
    return adaptive_torch


class Subnet(nn.Module):
    """The layers from one scale's motion features to its kernels and mask (table 2, "Motion Generator-Subnet").

    Features (B, C, H, W) -> vertical and horizontal kernels (B, 5, H, W), mask (B, 1, H, W) in (0, 1) or None.
    """

    def __init__(self, channels: int, table: Architecture, mask: bool) -> None:
        super().__init__()
        width, deep = table.subnet_width, table.subnet_deep
        trunk = _conv(channels, width) if deep else nn.ConvTranspose2d(channels, width, 3, padding=1)
        self.trunk = Stack(trunk, nn.BatchNorm2d(width), nn.ReLU())
        self.vertical = _branch(width, KERNEL_SIZE, KERNEL_SIZE, deep)
        self.horizontal = _branch(width, KERNEL_SIZE, KERNEL_SIZE, deep)
        self.mask = Stack(*_branch(width, width, 1, deep), nn.Tanh()) if mask else None

    def forward(self, motion: Tensor, apart: Apart | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
        branches = [self.vertical, self.horizontal, *([] if self.mask is None else [self.mask])]
        # The branches' first convolutions read the same map: one convolution of all their filters reads it once.
        first: list[Any] = [branch[0] for branch in branches]
        weight, bias = torch.cat([conv.weight for conv in first]), torch.cat([conv.bias for conv in first])
        together = self.trunk(motion, then=lambda trunk: F.conv2d(trunk, weight, bias, padding=1), apart=apart)
        outputs = together.split([conv.out_channels for conv in first], dim=1)
        pairs = zip(branches, outputs, strict=True)
        vertical, horizontal, *mask = (branch(part, first=1, apart=apart) for branch, part in pairs)
        return vertical, horizontal, (mask[0] + 1) / 2 if mask else None


def _branch(channels: int, inner: int, outputs: int, deep: bool) -> Stack:
    layers: list[nn.Module] = []
    if deep:
        layers += [_conv(channels, inner), nn.BatchNorm2d(inner), nn.ReLU()]
        channels = inner
    return Stack(*layers, _conv(channels, outputs))


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)
