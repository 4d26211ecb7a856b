"""The masked adaptive convolution on a CPU, compiled by Numba on first use. Interface as in `adaptive_torch`.

A processor's vectors run along the pixels: each image is turned into planes, one a channel, whose rows are as wide as
the padded image. So a tap's neighbours of a whole plane lie one fixed distance away, and one long loop serves them
all. Behind the pixels of a row are places that stand for none; the kernels and the gradient are zero there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsvan.models.kernels.compiled import Array, compiled, in_threads
from tsvan.models.tables import KERNEL_SIZE

TAPS = KERNEL_SIZE
PAD = TAPS // 2
TOGETHER = 4  # channels


def forward(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
    """Fuse features (B, H, W, C) by kernels (B, H, W, 5) each and mask (B, H, W); all contiguous, of one type.

    Returns:
        (B, H, W, C).
    """
    result = torch.empty_like(features)
    in_threads(_forward, _arrays(features, vertical, horizontal, mask, result))
    return result


def backward(
    gradient: Tensor, features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute gradients of the four inputs of `forward`, in their order and shapes."""
    results = [torch.empty_like(item) for item in (features, vertical, horizontal, mask)]
    in_threads(_backward, _arrays(gradient, features, vertical, horizontal, mask, *results))
    return results[0], results[1], results[2], results[3]


def _arrays(*tensors: Tensor) -> list[Array]:
    return [tensor.detach().numpy() for tensor in tensors]


@compiled
def _forward(features: Array, vertical: Array, horizontal: Array, mask: Array, result: Array) -> None:
    batch, height, width, channels = features.shape
    row = width + 2 * PAD
    size = height * row
    padded = np.zeros((channels, size + 2 * PAD * (row + 1)), features.dtype)
    v, h = np.zeros((TAPS, size), features.dtype), np.zeros((TAPS, size), features.dtype)
    share, out = np.zeros((1, size), features.dtype), np.empty((channels, size), features.dtype)
    for b in range(batch):
        _pad(features[b], padded, row)
        _planes(vertical[b], v, row)
        _planes(horizontal[b], h, row)
        _planes(mask[b].reshape(height, width, 1), share, row)
        for i in range(TAPS):
            _multiply(v[i], share[0])
        for c in range(channels):
            _rest(out[c], share[0], padded[c, PAD * row + PAD :])
            for i in range(TAPS):
                _convolve(out[c], v[i], h[0], h[1], h[2], h[3], h[4], padded[c, i * row :])
        _pixels(out, result[b], row, 0)


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
    row = width + 2 * PAD
    size, reach = height * row, 2 * PAD * (row + 1)  # reach: from a pixel's first neighbour to its last
    kind = features.dtype
    padded, to_padded = np.zeros((channels + TOGETHER, size + reach), kind), np.empty((channels, size + reach), kind)
    # What the gradient in the padded image gathers from lies up to `reach` before it, and none behind the last pixel.
    arriving = np.zeros((channels + TOGETHER, reach + size + reach), kind)
    v, h, share = np.zeros((TAPS, size), kind), np.zeros((TAPS, size), kind), np.zeros((1, size), kind)
    taps = np.zeros((TAPS, TAPS, reach + size + reach), kind)
    products = np.empty((TAPS, TAPS, size), kind)  # of the gradient with the neighbour at each tap, over channels
    to_v, to_h, moved = np.empty((TAPS, size), kind), np.empty((TAPS, size), kind), np.empty((1, size), kind)
    for b in range(batch):
        _pad(features[b], padded, row)
        _planes(gradient[b], arriving[:, reach:], row)
        _planes(vertical[b], v, row)
        _planes(horizontal[b], h, row)
        _planes(mask[b].reshape(height, width, 1), share, row)

        products[:] = 0
        for c in range(0, channels, TOGETHER):
            g0, g1 = arriving[c, reach:], arriving[c + 1, reach:]
            g2, g3 = arriving[c + 2, reach:], arriving[c + 3, reach:]
            for i in range(TAPS):
                for j in range(TAPS):
                    n = i * row + j
                    p0, p1, p2, p3 = padded[c, n:], padded[c + 1, n:], padded[c + 2, n:], padded[c + 3, n:]
                    _correlate(products[i, j], g0, g1, g2, g3, p0, p1, p2, p3)
        moved[:] = 0
        to_h[:] = 0
        for i in range(TAPS):
            to_v[i] = 0
            for j in range(TAPS):
                _add_product(to_v[i], h[j], products[i, j])
                _add_product(to_h[j], v[i], products[i, j])
                taps[i, j, reach : reach + size] = 0
                _add_product(taps[i, j, reach:], v[i], h[j])
                _multiply(taps[i, j, reach:], share[0])
            _add_product(moved[0], v[i], to_v[i])
            _multiply(to_v[i], share[0])
        for j in range(TAPS):
            _multiply(to_h[j], share[0])
        for place in range(size):
            taps[PAD, PAD, reach + place] += 1 - share[0, place]
            moved[0, place] -= products[PAD, PAD, place]
        _pixels(to_v, to_vertical[b], row, 0)
        _pixels(to_h, to_horizontal[b], row, 0)
        _pixels(moved, to_mask[b].reshape(height, width, 1), row, 0)

        to_padded[:] = 0
        for c in range(channels):
            for i in range(TAPS):
                s = reach - i * row - 2 * PAD
                w0, w1, w2, w3, w4 = taps[i, 0, s:], taps[i, 1, s:], taps[i, 2, s:], taps[i, 3, s:], taps[i, 4, s:]
                _gather(to_padded[c], w0, w1, w2, w3, w4, arriving[c, s:])
            _fold(to_padded[c], height, width)
        _pixels(to_padded, to_features[b], row, PAD * row + PAD)


@compiled
def _pad(image: Array, planes: Array, row: int) -> None:
    """Write an image (H, W, C) into planes (C, ...), its outermost pixels repeated."""
    height, width, channels = image.shape
    for y in range(height + 2 * PAD):
        source = min(max(y - PAD, 0), height - 1)
        for x in range(width + 2 * PAD):
            column = min(max(x - PAD, 0), width - 1)
            for c in range(channels):
                planes[c, y * row + x] = image[source, column, c]


@compiled
def _planes(image: Array, planes: Array, row: int) -> None:
    """Write an image (H, W, C) into planes (C, ...)."""
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                planes[c, y * row + x] = image[y, x, c]


@compiled
def _pixels(planes: Array, image: Array, row: int, start: int) -> None:
    """Undo `_planes`: write planes into an image; the first pixel is at `start`."""
    height, width, channels = image.shape
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                image[y, x, c] = planes[c, start + y * row + x]


@compiled
def _fold(plane: Array, height: int, width: int) -> None:
    """Add the gradient in the repeated pixels of a padded plane to that of the outermost ones."""
    row = width + 2 * PAD
    for x in range(row):
        for y in range(PAD):
            plane[PAD * row + x] += plane[y * row + x]
            plane[(height + PAD - 1) * row + x] += plane[(height + PAD + y) * row + x]
    for y in range(PAD, height + PAD):
        for x in range(PAD):
            plane[y * row + PAD] += plane[y * row + x]
            plane[y * row + width + PAD - 1] += plane[y * row + width + PAD + x]


@compiled
def _rest(out: Array, share: Array, features: Array) -> None:
    for place in range(len(out)):
        out[place] = (1 - share[place]) * features[place]


# The loops below are functions of their own, with few arrays each, or the compiler would not vectorise them.


@compiled
def _multiply(values: Array, by: Array) -> None:
    for place in range(len(by)):
        values[place] *= by[place]


@compiled
def _add_product(total: Array, one: Array, other: Array) -> None:
    for place in range(len(one)):
        total[place] += one[place] * other[place]


@compiled
def _convolve(out: Array, v: Array, h0: Array, h1: Array, h2: Array, h3: Array, h4: Array, near: Array) -> None:
    for place in range(len(out)):
        across = h0[place] * near[place] + h1[place] * near[place + 1] + h2[place] * near[place + 2]
        across += h3[place] * near[place + 3] + h4[place] * near[place + 4]
        out[place] += v[place] * across


@compiled
def _correlate(
    total: Array, g0: Array, g1: Array, g2: Array, g3: Array, p0: Array, p1: Array, p2: Array, p3: Array
) -> None:
    for place in range(len(total)):
        products = g0[place] * p0[place] + g1[place] * p1[place]
        products += g2[place] * p2[place] + g3[place] * p3[place]
        total[place] += products


@compiled
def _gather(total: Array, w0: Array, w1: Array, w2: Array, w3: Array, w4: Array, g: Array) -> None:
    for place in range(len(total)):
        arrived = w4[place] * g[place] + w3[place + 1] * g[place + 1] + w2[place + 2] * g[place + 2]
        arrived += w1[place + 3] * g[place + 3] + w0[place + 4] * g[place + 4]
        total[place] += arrived
