"""The masked adaptive convolution on a CPU, compiled by Numba on first use. Interface as in `adaptive_torch`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsvan.models.compiled import Array, compiled, in_threads
from tsvan.models.tables import KERNEL_SIZE

TAPS = KERNEL_SIZE  # known at compile time, so that the loops over the taps are unrolled
PAD = TAPS // 2


def forward(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
    """Features (B, H, W, C), kernels (B, H, W, 5) each, mask (B, H, W) -> (B, H, W, C); all contiguous, of one type."""
    result = torch.empty_like(features)
    in_threads(_forward, _arrays(features, vertical, horizontal, mask, result))
    return result


def backward(
    gradient: Tensor, features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the four inputs of `forward`, in their order and shapes."""
    results = [torch.empty_like(item) for item in (features, vertical, horizontal, mask)]
    in_threads(_backward, _arrays(gradient, features, vertical, horizontal, mask, *results))
    return results[0], results[1], results[2], results[3]


def _arrays(*tensors: Tensor) -> list[Array]:
    return [tensor.detach().numpy() for tensor in tensors]


@compiled
def _pad(source: Array, target: Array) -> None:
    height, width, channels = source.shape
    for y in range(height + 2 * PAD):
        row = min(max(y - PAD, 0), height - 1)
        for x in range(width + 2 * PAD):
            column = min(max(x - PAD, 0), width - 1)
            for c in range(channels):
                target[y, x, c] = source[row, column, c]


@compiled
def _forward(features: Array, vertical: Array, horizontal: Array, mask: Array, result: Array) -> None:
    batch, height, width, channels = features.shape
    padded = np.empty((height + 2 * PAD, width + 2 * PAD, channels), features.dtype)
    weights = np.empty(TAPS, features.dtype)
    for b in range(batch):
        _pad(features[b], padded)
        for y in range(height):
            for x in range(width):
                share = mask[b, y, x]
                for c in range(channels):
                    result[b, y, x, c] = (1 - share) * features[b, y, x, c]
                for i in range(TAPS):
                    for j in range(TAPS):
                        weights[j] = share * vertical[b, y, x, i] * horizontal[b, y, x, j]
                    for c in range(channels):
                        total = result[b, y, x, c]
                        for j in range(TAPS):
                            total += weights[j] * padded[y + i, x + j, c]
                        result[b, y, x, c] = total


@compiled
def _backward(
    gradient: Array,
    features: Array,
    vertical: Array,
    horizontal: Array,
    mask: Array,
    to_features: Array,
    to_vertical: Array,
    to_horizontal: Array,
    to_mask: Array,
) -> None:
    batch, height, width, channels = features.shape
    padded = np.empty((height + 2 * PAD, width + 2 * PAD, channels), features.dtype)
    to_padded = np.empty_like(padded)
    weights = np.empty(TAPS, features.dtype)
    products = np.empty((TAPS, TAPS), features.dtype)  # of the gradient with the neighbour at each tap, over channels
    for b in range(batch):
        _pad(features[b], padded)
        to_padded[:] = 0
        for y in range(height):
            for x in range(width):
                share = mask[b, y, x]
                for i in range(TAPS):
                    for j in range(TAPS):
                        weights[j] = share * vertical[b, y, x, i] * horizontal[b, y, x, j]
                    if i == PAD:
                        weights[PAD] += 1 - share
                    for j in range(TAPS):
                        weight = weights[j]
                        for c in range(channels):
                            to_padded[y + i, x + j, c] += weight * gradient[b, y, x, c]
                    p0 = p1 = p2 = p3 = p4 = weights[0] * 0
                    for c in range(channels):  # nothing is stored in this loop, so that it is vectorised
                        g = gradient[b, y, x, c]
                        p0 += g * padded[y + i, x, c]
                        p1 += g * padded[y + i, x + 1, c]
                        p2 += g * padded[y + i, x + 2, c]
                        p3 += g * padded[y + i, x + 3, c]
                        p4 += g * padded[y + i, x + 4, c]
                    products[i, 0], products[i, 1], products[i, 2] = p0, p1, p2
                    products[i, 3], products[i, 4] = p3, p4
                moved = weights[0] * 0
                for i in range(TAPS):
                    to_vertical[b, y, x, i] = 0
                    to_horizontal[b, y, x, i] = 0
                for i in range(TAPS):
                    for j in range(TAPS):
                        v, h, product = vertical[b, y, x, i], horizontal[b, y, x, j], products[i, j]
                        to_vertical[b, y, x, i] += share * h * product
                        to_horizontal[b, y, x, j] += share * v * product
                        moved += v * h * product
                to_mask[b, y, x] = moved - products[PAD, PAD]
        to_features[b] = 0
        for y in range(height + 2 * PAD):
            row = min(max(y - PAD, 0), height - 1)
            for x in range(width + 2 * PAD):
                column = min(max(x - PAD, 0), width - 1)
                for c in range(channels):
                    to_features[b, row, column, c] += to_padded[y, x, c]
