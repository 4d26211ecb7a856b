"""Batch normalisation with a (leaky) ReLU behind it, channels last, on CUDA, in Triton.

Two launches forward and two backward, whatever the number of batches whose statistics are taken apart: PyTorch takes
three for each batch forward, as many backward, and others to part and join them. Each first launch takes the moments
of parts of the rows, each second one puts the parts together and goes over the rows. Arithmetic is float32; rows may be
bfloat16.
"""

# mypy: disable-error-code="no-untyped-def,untyped-decorator,no-any-return"

from __future__ import annotations

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

ELEMENTS = 4096  # of a tile: rows times channels
MAX_CHANNELS = 64  # of a tile
MAX_PARTS = 32  # that the rows of a batch are cut into, at most


@dataclass(frozen=True)
class Statistics:
    """Where the mean and the unbiased variance of each batch go.

    Batch g's mean of channel c moves place g * step + c of `mean` by the share `momentum`, `variance` likewise.
    """

    mean: Tensor
    variance: Tensor
    step: int
    momentum: float


def forward(
    rows: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float, statistics: Statistics
) -> tuple[Tensor, Tensor]:
    """Compute max(z, slope z), z = weight (x - mean) / sqrt(variance + eps) + bias, by the moments of each batch.

    Args:
        rows: x, (G, R, C) contiguous: every value of every channel of G batches; float32 or bfloat16.
        weight: (C,) float32.
        bias: (C,) float32.
        slope: of the activation below zero; 1 is none.
        statistics: that the moments are noted in.

    Returns:
        The result (G, R, C), and each channel's mean and 1 / sqrt(variance + eps), (G, 2, C) float32.
    """
    groups, count, channels = rows.shape
    tile = _Tile.of(count, channels)
    parts = rows.new_empty((groups, tile.parts, 2, channels), dtype=torch.float32)
    moments = rows.new_empty((groups, 2, channels), dtype=torch.float32)
    result = torch.empty_like(rows)
    _sums[tile.grid(groups, tile.parts)](
        rows, parts, count, channels, tile.part_rows, tile.parts, ROWS=tile.rows, BLOCK=tile.block
    )
    _normalise[tile.grid(groups, triton.cdiv(count, tile.rows))](
        rows, weight, bias, parts, result, moments, statistics.mean, statistics.variance, statistics.step,
        statistics.momentum, eps, slope, count, channels, tile.part_rows, tile.parts,
        ROWS=tile.rows, BLOCK=tile.block, PARTS=MAX_PARTS,
    )  # fmt: skip
    return result, moments


def backward(
    gradient: Tensor, rows: Tensor, weight: Tensor, bias: Tensor, moments: Tensor, slope: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute gradients of rows (G, R, C), weight (C,) and bias (C,); moments as `forward` returned them."""
    groups, count, channels = rows.shape
    tile = _Tile.of(count, channels)
    parts = rows.new_empty((groups, tile.parts, 2, channels), dtype=torch.float32)
    result, to_weight, to_bias = torch.empty_like(rows), torch.empty_like(weight), torch.empty_like(bias)
    _sums_back[tile.grid(groups, tile.parts)](
        gradient, rows, weight, bias, moments, parts, slope, count, channels, tile.part_rows, tile.parts,
        ROWS=tile.rows, BLOCK=tile.block,
    )  # fmt: skip
    _back[tile.grid(groups, triton.cdiv(count, tile.rows))](
        gradient, rows, weight, bias, moments, parts, result, to_weight, to_bias, slope, groups, count, channels,
        tile.parts, ROWS=tile.rows, BLOCK=tile.block, PARTS=MAX_PARTS,
    )  # fmt: skip
    return result, to_weight, to_bias


@dataclass(frozen=True)
class _Tile:
    """How the rows of a batch are shared between programs.

    Args:
        rows: of a tile.
        block: channels of a tile.
        part_rows: rows of a part, a multiple of those of a tile.
        parts: of a batch.
        blocks: of channels.
    """

    rows: int
    block: int
    part_rows: int
    parts: int
    blocks: int

    @classmethod
    def of(cls, count: int, channels: int) -> _Tile:
        block = min(triton.next_power_of_2(channels), MAX_CHANNELS)
        rows = min(ELEMENTS // block, triton.next_power_of_2(count))
        part_rows = triton.cdiv(triton.cdiv(count, rows), MAX_PARTS) * rows
        return cls(rows, block, part_rows, triton.cdiv(count, part_rows), triton.cdiv(channels, block))

    def grid(self, groups: int, pieces: int) -> tuple[int, int, int]:
        return pieces, self.blocks, groups


@triton.jit(do_not_specialize=["count", "part_rows", "num_parts"])
def _sums(rows, parts, count, channels, part_rows, num_parts, ROWS: tl.constexpr, BLOCK: tl.constexpr):  # noqa: N803
    """Compute a part's mean and its sum of squared distances from that, by way of distances from its first row."""
    part, group = tl.program_id(0), tl.program_id(2)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    start = part * part_rows
    end = tl.minimum(start + part_rows, count)
    base = rows + group.to(tl.int64) * count * channels
    first = tl.load(base + start * channels + channel, mask=inside, other=0.0).to(tl.float32)
    total, squares = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for at in range(start, end, ROWS):
        row = at + tl.arange(0, ROWS)
        there = (row < end)[:, None] & inside[None]
        x = tl.load(base + row[:, None] * channels + channel[None], mask=there, other=0.0).to(tl.float32)
        distance = tl.where(there, x - first[None], 0.0)
        total += tl.sum(distance, 0)
        squares += tl.sum(distance * distance, 0)
    mean = total / (end - start)
    place = parts + (group * num_parts + part) * 2 * channels + channel
    tl.store(place, first + mean, mask=inside)
    tl.store(place + channels, tl.maximum(squares - total * mean, 0.0), mask=inside)


@triton.jit(do_not_specialize=["step", "momentum", "eps", "slope", "count", "part_rows", "num_parts"])
def _normalise(
    rows, weight, bias, parts, result, moments, noted_mean, noted_variance, step, momentum, eps, slope,
    count, channels, part_rows, num_parts, ROWS: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Put the parts' moments together, and normalise a tile; the first tile's program notes the moments."""
    tile, group = tl.program_id(0), tl.program_id(2)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    part = tl.arange(0, PARTS)
    known = (part < num_parts)[:, None] & inside[None]
    place = parts + (group * num_parts + part)[:, None] * 2 * channels + channel[None]
    means = tl.load(place, mask=known, other=0.0)
    spreads = tl.load(place + channels, mask=known, other=0.0)
    size = tl.maximum(tl.minimum(count - part * part_rows, part_rows), 0).to(tl.float32)[:, None]
    mean = tl.sum(means * size, 0) / count
    away = tl.where(known, means - mean[None], 0.0)
    spread = tl.sum(spreads + away * away * size, 0)
    inverse = 1.0 / tl.sqrt(spread / count + eps)
    if tile == 0:
        tl.store(moments + group * 2 * channels + channel, mean, mask=inside)
        tl.store(moments + (group * 2 + 1) * channels + channel, inverse, mask=inside)
        noted = group * step + channel
        old = tl.load(noted_mean + noted, mask=inside, other=0.0)
        tl.store(noted_mean + noted, old + momentum * (mean - old), mask=inside)
        old = tl.load(noted_variance + noted, mask=inside, other=0.0)
        tl.store(noted_variance + noted, old + momentum * (spread / (count - 1) - old), mask=inside)
    w = tl.load(weight + channel, mask=inside, other=0.0)
    b = tl.load(bias + channel, mask=inside, other=0.0)
    row = tile * ROWS + tl.arange(0, ROWS)
    there = (row < count)[:, None] & inside[None]
    places = group.to(tl.int64) * count * channels + row[:, None] * channels + channel[None]
    x = tl.load(rows + places, mask=there, other=0.0).to(tl.float32)
    z = (x - mean[None]) * inverse[None] * w[None] + b[None]
    tl.store(result + places, tl.where(z > 0, z, z * slope), mask=there)


@triton.jit
def _before_activation(gradient, rows, places, there, mean, inverse, w, b, slope):
    """Load a tile's normalised values (R, C), and its gradient before the activation."""
    x = tl.load(rows + places, mask=there, other=0.0).to(tl.float32)
    g = tl.load(gradient + places, mask=there, other=0.0).to(tl.float32)
    normal = (x - mean[None]) * inverse[None]
    z = normal * w[None] + b[None]
    return tl.where(there, normal, 0.0), tl.where(z > 0, g, g * slope)


@triton.jit(do_not_specialize=["slope", "count", "part_rows", "num_parts"])
def _sums_back(
    gradient, rows, weight, bias, moments, parts, slope, count, channels, part_rows, num_parts,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Sum a part's gradient before the activation, and its product with the normalised values."""
    part, group = tl.program_id(0), tl.program_id(2)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    start = part * part_rows
    end = tl.minimum(start + part_rows, count)
    mean = tl.load(moments + group * 2 * channels + channel, mask=inside, other=0.0)
    inverse = tl.load(moments + (group * 2 + 1) * channels + channel, mask=inside, other=0.0)
    w = tl.load(weight + channel, mask=inside, other=0.0)
    b = tl.load(bias + channel, mask=inside, other=0.0)
    plain, product = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for at in range(start, end, ROWS):
        row = at + tl.arange(0, ROWS)
        there = (row < end)[:, None] & inside[None]
        places = group.to(tl.int64) * count * channels + row[:, None] * channels + channel[None]
        normal, g = _before_activation(gradient, rows, places, there, mean, inverse, w, b, slope)
        plain += tl.sum(g, 0)
        product += tl.sum(g * normal, 0)
    place = parts + (group * num_parts + part) * 2 * channels + channel
    tl.store(place, plain, mask=inside)
    tl.store(place + channels, product, mask=inside)


@triton.jit(do_not_specialize=["slope", "groups", "count", "num_parts"])
def _back(
    gradient, rows, weight, bias, moments, parts, result, to_weight, to_bias, slope, groups, count, channels,
    num_parts, ROWS: tl.constexpr, BLOCK: tl.constexpr, PARTS: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the gradient of a tile; the first program of each block of channels computes those of the affine."""
    tile, group = tl.program_id(0), tl.program_id(2)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = channel < channels
    plain, product = _of_group(parts, group, num_parts, channel, channels, inside, PARTS)
    if (tile == 0) & (group == 0):
        all_plain, all_product = plain, product
        for other in range(1, groups):
            more_plain, more_product = _of_group(parts, other, num_parts, channel, channels, inside, PARTS)
            all_plain += more_plain
            all_product += more_product
        tl.store(to_bias + channel, all_plain, mask=inside)
        tl.store(to_weight + channel, all_product, mask=inside)
    mean = tl.load(moments + group * 2 * channels + channel, mask=inside, other=0.0)
    inverse = tl.load(moments + (group * 2 + 1) * channels + channel, mask=inside, other=0.0)
    w = tl.load(weight + channel, mask=inside, other=0.0)
    b = tl.load(bias + channel, mask=inside, other=0.0)
    row = tile * ROWS + tl.arange(0, ROWS)
    there = (row < count)[:, None] & inside[None]
    places = group.to(tl.int64) * count * channels + row[:, None] * channels + channel[None]
    normal, g = _before_activation(gradient, rows, places, there, mean, inverse, w, b, slope)
    value = (w * inverse)[None] * (g - (plain / count)[None] - normal * (product / count)[None])
    tl.store(result + places, value, mask=there)


@triton.jit
def _of_group(parts, group, num_parts, channel, channels, inside, PARTS: tl.constexpr):  # noqa: N803
    """Sum a batch's two sums over its parts, (C,) each."""
    part = tl.arange(0, PARTS)
    known = (part < num_parts)[:, None] & inside[None]
    place = parts + (group * num_parts + part)[:, None] * 2 * channels + channel[None]
    return tl.sum(tl.load(place, mask=known, other=0.0), 0), tl.sum(tl.load(place + channels, mask=known, other=0.0), 0)
