"""Batch normalisation with a (leaky) ReLU behind it, channels last, on a CPU, compiled by Numba.

One pass over the data in place of two or three, and only the norm's input is kept for the gradient. Sums are taken in
float64 over short ones: PyTorch's channels-last kernel adds up all of a channel's values in float32, which costs the
statistics of a large batch three digits.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsvan.models.kernels.compiled import Array, compiled, in_threads

BLOCK = 32  # rows whose sum in the data's own type goes into the float64 one
WIDE = 256  # values of a row: narrow rows are looked at several at a time, since short loops cost more than their work


def forward(rows: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float) -> tuple[Tensor, Tensor, Tensor]:
    """Compute max(z, slope z), z = weight (x - mean) / sqrt(variance + eps) + bias, by the moments of each batch.

    Args:
        rows: x, (G, R, C) contiguous: every value of every channel of G batches; float32 or float64.
        weight: (C,).
        bias: (C,).

    Returns:
        The result (G, R, C), and the mean and the biased variance of each channel, (G, C) float64.
    """
    moments = [_moments(batch) for batch in rows]
    mean, variance = (torch.from_numpy(np.stack(kind)) for kind in zip(*moments, strict=True))
    return apply(rows, weight, bias, mean, variance, eps, slope), mean, variance


def apply(
    rows: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, eps: float, slope: float
) -> Tensor:
    """Compute the result of `forward` again, with the moments that it returned."""
    result, kind = torch.empty_like(rows), _kind(rows)
    for batch, out, average, spread in zip(rows, result, mean.numpy(), variance.numpy(), strict=True):
        source = _wide(batch)
        constants = [_tiled(item.astype(kind), source) for item in _affine(weight, bias, average, spread, eps)]
        in_threads(_apply, [source, _wide(out)], *constants, kind.type(slope))
    return result


def backward(
    gradient: Tensor,
    rows: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute gradients of rows (G, R, C), weight (C,) and bias (C,); mean and variance as `forward` returned them."""
    result, totals = torch.empty_like(rows), np.zeros((2, rows.shape[-1]))
    parts = zip(gradient, rows, result, mean.numpy(), variance.numpy(), strict=True)
    for arriving, batch, out, average, spread in parts:
        totals += _backward(arriving, batch, out, weight, bias, average, spread, eps, slope)
    return result, torch.from_numpy(totals[1]).to(weight.dtype), torch.from_numpy(totals[0]).to(bias.dtype)


def _backward(
    gradient: Tensor,
    rows: Tensor,
    result: Tensor,
    weight: Tensor,
    bias: Tensor,
    mean: Array,
    variance: Array,
    eps: float,
    slope: float,
) -> Array:
    """Fill the gradient in one batch's rows (R, C); return the sums (2, C) that make those in bias and weight."""
    source, arriving, kind = _wide(rows), _wide(gradient), _kind(rows)
    scale, shift = _affine(weight, bias, mean, variance, eps)
    constants = [_tiled(item.astype(kind), source) for item in (scale, shift, mean, 1 / np.sqrt(variance + eps))]
    plain, product = sum(in_threads(_sums_back, [arriving, source], *constants, kind.type(slope)))
    sums = np.stack([_by_channel(plain, rows), _by_channel(product, rows)])
    means = [_tiled((item / len(rows)).astype(kind), source) for item in sums]
    in_threads(_apply_back, [arriving, source, _wide(result)], *constants, *means, kind.type(slope))
    return sums


def _moments(rows: Tensor) -> tuple[Array, Array]:
    """Compute the mean and the biased variance of each channel of rows (R, C), (C,) float64 each."""
    source, kind, count = _wide(rows), _kind(rows), len(rows)
    mean = _by_channel(sum(in_threads(_sum, [source])), rows) / count
    variance = _by_channel(sum(in_threads(_spread, [source], _tiled(mean.astype(kind), source))), rows) / count
    return mean, variance


def _wide(rows: Tensor) -> Array:
    """View rows (R, C) as (R / n, n C), several in one."""
    count, channels = rows.shape
    together = 1
    while count % (2 * together) == 0 and 2 * together * channels <= WIDE:
        together *= 2
    return rows.detach().numpy().reshape(count // together, together * channels)


def _tiled(values: Array, wide: Array) -> Array:
    """Repeat a value of each channel, (C,), for every place of a row of several, (n C,)."""
    return np.tile(values, wide.shape[1] // len(values))


def _by_channel(sums: Array, rows: Tensor) -> Array:
    """Sum up by channel what rows of several give, (n C,) -> (C,)."""
    return sums.reshape(-1, rows.shape[1]).sum(axis=0)


def _kind(rows: Tensor) -> np.dtype[np.floating]:
    return np.dtype(np.float64 if rows.dtype == torch.float64 else np.float32)


def _affine(weight: Tensor, bias: Tensor, mean: Array, variance: Array, eps: float) -> tuple[Array, Array]:
    scale = weight.detach().numpy().astype(np.float64) / np.sqrt(variance + eps)
    return scale, bias.detach().numpy() - mean * scale


@compiled
def _sum(rows: Array) -> Array:
    count, channels = rows.shape
    total, part = np.zeros(channels, np.float64), np.empty(channels, rows.dtype)
    for start in range(0, count, BLOCK):
        part[:] = 0
        for row in range(start, min(start + BLOCK, count)):
            for c in range(channels):
                part[c] += rows[row, c]
        for c in range(channels):
            total[c] += part[c]
    return total


@compiled
def _spread(rows: Array, mean: Array) -> Array:
    """Sum squared distances from the mean."""
    count, channels = rows.shape
    total, part = np.zeros(channels, np.float64), np.empty(channels, rows.dtype)
    for start in range(0, count, BLOCK):
        part[:] = 0
        for row in range(start, min(start + BLOCK, count)):
            for c in range(channels):
                distance = rows[row, c] - mean[c]
                part[c] += distance * distance
        for c in range(channels):
            total[c] += part[c]
    return total


@compiled
def _apply(rows: Array, result: Array, scale: Array, shift: Array, slope: float) -> None:
    count, channels = rows.shape
    for row in range(count):
        for c in range(channels):
            value = rows[row, c] * scale[c] + shift[c]
            result[row, c] = max(value, value * slope)


@compiled
def _sums_back(
    gradient: Array, rows: Array, scale: Array, shift: Array, mean: Array, inverse: Array, slope: float
) -> Array:
    """Sum over all rows the gradient before the activation, and its product with the normalised value."""
    count, channels = rows.shape
    total = np.zeros((2, channels), np.float64)
    plain, product = np.empty(channels, rows.dtype), np.empty(channels, rows.dtype)
    for start in range(0, count, BLOCK):
        plain[:] = 0
        product[:] = 0
        for row in range(start, min(start + BLOCK, count)):
            for c in range(channels):
                value, g = rows[row, c], gradient[row, c]
                g = g if value * scale[c] + shift[c] > 0 else g * slope
                plain[c] += g
                product[c] += g * (value - mean[c])
        for c in range(channels):
            total[0, c] += plain[c]
            total[1, c] += product[c] * inverse[c]
    return total


@compiled
def _apply_back(
    gradient: Array,
    rows: Array,
    result: Array,
    scale: Array,
    shift: Array,
    mean: Array,
    inverse: Array,
    mean_plain: Array,
    mean_product: Array,
    slope: float,
) -> None:
    count, channels = rows.shape
    for row in range(count):
        for c in range(channels):
            value, g = rows[row, c], gradient[row, c]
            g = g if value * scale[c] + shift[c] > 0 else g * slope
            result[row, c] = scale[c] * (g - mean_plain[c] - (value - mean[c]) * inverse[c] * mean_product[c])
