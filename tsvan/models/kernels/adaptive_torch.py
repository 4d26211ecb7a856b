"""The masked adaptive convolution in plain PyTorch, where a device has no kernel of its own; the reference.

With a mask M the fusion M S(f) + (1 - M) f is itself an adaptive convolution: its kernel is M v h, with 1 - M more at
the centre. So masking costs nothing, and the mask's gradient falls out of the kernel's. Channels come last, because
all channels of a pixel share its kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def forward(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
    """Fuse features (B, H, W, C) by kernels (B, H, W, k) each and mask (B, H, W); all contiguous, of one type.

    Returns:
        (B, H, W, C).
    """
    kernels, padded = _kernels(vertical, horizontal, mask), _padded(features, vertical.shape[-1] // 2)
    height, width = features.shape[1:3]
    result = torch.zeros_like(features)
    for i, j in _taps(vertical):
        result.addcmul_(padded[:, i : i + height, j : j + width], kernels[:, :, :, i, j, None])
    return result


def backward(
    gradient: Tensor, features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute gradients of the four inputs of `forward`, in their order and shapes."""
    pad = vertical.shape[-1] // 2
    kernels, padded = _kernels(vertical, horizontal, mask), _padded(features, pad)
    height, width = features.shape[1:3]
    to_padded = torch.zeros_like(padded)
    products = torch.empty_like(kernels)  # of the gradient with the neighbour at each tap, summed over channels
    for i, j in _taps(vertical):
        window = (slice(None), slice(i, i + height), slice(j, j + width))
        to_padded[window].addcmul_(gradient, kernels[:, :, :, i, j, None])
        products[:, :, :, i, j] = (padded[window] * gradient).sum(-1)
    by_rows = (products * horizontal[:, :, :, None]).sum(-1)  # (B, H, W, k)
    by_columns = (products * vertical[:, :, :, :, None]).sum(-2)
    to_mask = (by_rows * vertical).sum(-1) - products[:, :, :, pad, pad]
    return fold(to_padded, pad), by_rows * mask[..., None], by_columns * mask[..., None], to_mask


def _taps(vertical: Tensor) -> list[tuple[int, int]]:
    size = vertical.shape[-1]
    return [(i, j) for i in range(size) for j in range(size)]


def _kernels(vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
    pad = vertical.shape[-1] // 2
    kernels = (vertical * mask[..., None])[..., :, None] * horizontal[..., None, :]  # (B, H, W, k, k)
    kernels[..., pad, pad] += 1 - mask
    return kernels


def _padded(features: Tensor, pad: int) -> Tensor:
    return F.pad(features.permute(0, 3, 1, 2), (pad, pad, pad, pad), mode="replicate").permute(0, 2, 3, 1)


def fold(padded: Tensor, pad: int) -> Tensor:
    """Compute the gradient of replicate padding: what fell on the border belongs to the edge pixels."""
    rows = padded[:, pad:-pad].clone()
    rows[:, 0] += padded[:, :pad].sum(1)
    rows[:, -1] += padded[:, -pad:].sum(1)
    result = rows[:, :, pad:-pad].clone()
    result[:, :, 0] += rows[:, :, :pad].sum(2)
    result[:, :, -1] += rows[:, :, -pad:].sum(2)
    return result
