"""The separable adaptive convolution S and the masked fusion of a scale (figure 1 of the supplement)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsvan.models.precision import full
from tsvan.models.tables import KERNEL_SIZE, Architecture


def adaptive_convolution(features: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """S(f)[c, y, x] = sum_ij v[i, y, x] h[j, y, x] f_pad[c, y + i, x + j], replicate padding, all channels alike.

    Args:
        features: f, (B, C, H, W).
        vertical: v, (B, k, H, W) with k odd.
        horizontal: h, (B, k, H, W).

    Returns:
        (B, C, H, W), in float32 or, when given, float64.
    """
    kernels = full(vertical)[:, :, None] * full(horizontal)[:, None]  # (B, k, k, H, W): the outer product at each pixel
    return _AdaptiveConvolution.apply(full(features), kernels)


class _AdaptiveConvolution(torch.autograd.Function):
    """One multiply-add over the whole map a tap: nothing is unfolded, and only the inputs are kept for the gradient."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, kernels: Tensor) -> Tensor:
        taps = kernels.shape[1]
        padded = _pad(features, taps // 2)
        height, width = features.shape[2:]
        result = torch.zeros_like(features)
        for i in range(taps):
            for j in range(taps):
                result.addcmul_(padded[:, :, i : i + height, j : j + width], kernels[:, None, i, j])
        ctx.save_for_backward(features, kernels)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (gradient,) = gradients
        features, kernels = ctx.saved_tensors
        taps = kernels.shape[1]
        pad = taps // 2
        height, width = features.shape[2:]
        wants_features, wants_kernels = ctx.needs_input_grad
        padded = _pad(features, pad) if wants_kernels else None
        to_features = gradient.new_zeros(*features.shape[:2], height + 2 * pad, width + 2 * pad)
        to_kernels = torch.empty_like(kernels) if wants_kernels else None
        for i in range(taps):
            for j in range(taps):
                window = (slice(None), slice(None), slice(i, i + height), slice(j, j + width))
                if wants_features:
                    to_features[window].addcmul_(gradient, kernels[:, None, i, j])
                if padded is not None and to_kernels is not None:
                    torch.sum(padded[window] * gradient, dim=1, out=to_kernels[:, i, j])
        return (_fold(to_features, pad) if wants_features else None), to_kernels


def _pad(features: Tensor, pad: int) -> Tensor:
    return F.pad(features, (pad, pad, pad, pad), mode="replicate")


def _fold(padded: Tensor, pad: int) -> Tensor:
    """The gradient of replicate padding: what fell on the border belongs to the edge pixels."""
    rows = padded[:, :, pad:-pad].clone()
    rows[:, :, 0] += padded[:, :, :pad].sum(2)
    rows[:, :, -1] += padded[:, :, -pad:].sum(2)
    result = rows[..., pad:-pad].clone()
    result[..., 0] += rows[..., :pad].sum(3)
    result[..., -1] += rows[..., -pad:].sum(3)
    return result


class Subnet(nn.Module):
    """Motion features of one scale (B, C, H, W) -> vertical and horizontal kernels (B, 5, H, W), mask (B, 1, H, W) in
    (0, 1) or None (table 2, "Motion Generator-Subnet")."""

    def __init__(self, channels: int, table: Architecture, mask: bool) -> None:
        super().__init__()
        width, deep = table.subnet_width, table.subnet_deep
        trunk = _conv(channels, width) if deep else nn.ConvTranspose2d(channels, width, 3, padding=1)
        self.trunk = nn.Sequential(trunk, nn.BatchNorm2d(width), nn.ReLU())
        self.vertical = _branch(width, KERNEL_SIZE, KERNEL_SIZE, deep)
        self.horizontal = _branch(width, KERNEL_SIZE, KERNEL_SIZE, deep)
        self.mask = nn.Sequential(*_branch(width, width, 1, deep), nn.Tanh()) if mask else None

    def forward(self, motion: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        trunk = self.trunk(motion)
        mask = None if self.mask is None else (self.mask(trunk) + 1) / 2
        return self.vertical(trunk), self.horizontal(trunk), mask


def fuse(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor | None) -> Tensor:
    """f <- M * S(f) + (1 - M) * f, or S(f) without a mask. Shapes as in `adaptive_convolution`."""
    adapted = adaptive_convolution(features, vertical, horizontal)
    if mask is None:
        return adapted
    return torch.lerp(full(features), adapted, full(mask))


def _branch(channels: int, inner: int, outputs: int, deep: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    if deep:
        layers += [_conv(channels, inner), nn.BatchNorm2d(inner), nn.ReLU()]
        channels = inner
    return nn.Sequential(*layers, _conv(channels, outputs))


def _conv(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, 3, padding=1)
