"""The masked adaptive convolution on CUDA, in Triton, float32. Interface as in `adaptive_torch`."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from tsvan.models.adaptive_torch import fold
from tsvan.models.tables import KERNEL_SIZE

PIXELS = 32  # of one program
MAX_CHANNELS = 128  # of one program; more are left to further programs


def forward(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
    """Features (B, H, W, C), kernels (B, H, W, 5) each, mask (B, H, W) -> (B, H, W, C); contiguous float32."""
    batch, height, width, channels = features.shape
    result = torch.empty_like(features)
    block = _block(channels)
    grid = triton.cdiv(batch * height * width, PIXELS), triton.cdiv(channels, block)
    _forward[grid](
        features, vertical, horizontal, mask, result, batch * height * width, height, width, channels,
        TAPS=KERNEL_SIZE, PIXELS=PIXELS, BLOCK=block,
    )  # fmt: skip
    return result


def backward(
    gradient: Tensor, features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of the four inputs of `forward`, in their order and shapes."""
    batch, height, width, channels = features.shape
    pad = KERNEL_SIZE // 2
    to_padded = features.new_empty(batch, height + 2 * pad, width + 2 * pad, channels)
    block = _block(channels)
    count = to_padded.numel() // channels
    _to_padded[triton.cdiv(count, PIXELS), triton.cdiv(channels, block)](
        gradient, vertical, horizontal, mask, to_padded, count, height, width, channels,
        TAPS=KERNEL_SIZE, PIXELS=PIXELS, BLOCK=block,
    )  # fmt: skip
    to_vertical, to_horizontal, to_mask = (torch.empty_like(item) for item in (vertical, horizontal, mask))
    _to_kernels[(triton.cdiv(mask.numel(), PIXELS),)](
        gradient, features, vertical, horizontal, mask, to_vertical, to_horizontal, to_mask,
        mask.numel(), height, width, channels,
        TAPS=KERNEL_SIZE, PIXELS=PIXELS, BLOCK=block,
    )  # fmt: skip
    return fold(to_padded, pad), to_vertical, to_horizontal, to_mask


def _block(channels: int) -> int:
    return min(triton.next_power_of_2(channels), MAX_CHANNELS)


@triton.jit
def _weight(vertical, horizontal, mask, pixel, valid, i, j, TAPS: tl.constexpr):  # noqa: N803
    """The kernel's tap (i, j) at pixels (P,): M v h, and 1 - M more at the centre."""
    share = tl.load(mask + pixel, mask=valid, other=0.0)
    v = tl.load(vertical + pixel * TAPS + i, mask=valid, other=0.0)
    h = tl.load(horizontal + pixel * TAPS + j, mask=valid, other=0.0)
    centre = (i == TAPS // 2) & (j == TAPS // 2)
    return share * v * h + tl.where(valid & centre, 1.0 - share, 0.0)


@triton.jit
def _forward(
    features, vertical, horizontal, mask, result, count, height, width, channels,
    TAPS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid, inside = pixel < count, channel < channels
    x, y, b = pixel % width, (pixel // width) % height, pixel // (width * height)
    total = tl.zeros((PIXELS, BLOCK), tl.float32)
    for i in range(TAPS):
        row = tl.minimum(tl.maximum(y + i - TAPS // 2, 0), height - 1)
        for j in range(TAPS):
            column = tl.minimum(tl.maximum(x + j - TAPS // 2, 0), width - 1)
            source = ((b * height + row) * width + column) * channels
            taken = tl.load(
                features + source[:, None] + channel[None], mask=valid[:, None] & inside[None], other=0.0
            )
            total += _weight(vertical, horizontal, mask, pixel, valid, i, j, TAPS)[:, None] * taken
    tl.store(result + pixel[:, None] * channels + channel[None], total, mask=valid[:, None] & inside[None])


@triton.jit
def _to_padded(
    gradient, vertical, horizontal, mask, to_padded, count, height, width, channels,
    TAPS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """The gradient in the padded features: each of its pixels gathers from the pixels whose kernels reached it."""
    padded = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid, inside = padded < count, channel < channels
    wide, high = width + TAPS - 1, height + TAPS - 1
    x, y, b = padded % wide, (padded // wide) % high, padded // (wide * high)
    total = tl.zeros((PIXELS, BLOCK), tl.float32)
    for i in range(TAPS):
        row = y - i
        for j in range(TAPS):
            column = x - j
            there = valid & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixel = (b * height + row) * width + column
            arriving = tl.load(
                gradient + pixel[:, None] * channels + channel[None], mask=there[:, None] & inside[None], other=0.0
            )
            total += _weight(vertical, horizontal, mask, pixel, there, i, j, TAPS)[:, None] * arriving
    tl.store(to_padded + padded[:, None] * channels + channel[None], total, mask=valid[:, None] & inside[None])


@triton.jit
def _to_kernels(
    gradient, features, vertical, horizontal, mask, to_vertical, to_horizontal, to_mask,
    count, height, width, channels,
    TAPS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    valid = pixel < count
    x, y, b = pixel % width, (pixel // width) % height, pixel // (width * height)
    share = tl.load(mask + pixel, mask=valid, other=0.0)
    tap = tl.arange(0, 8)
    by_column = tl.zeros((PIXELS, 8), tl.float32)
    moved = tl.zeros((PIXELS,), tl.float32)
    kept = tl.zeros((PIXELS,), tl.float32)
    for i in range(TAPS):
        row = tl.minimum(tl.maximum(y + i - TAPS // 2, 0), height - 1)
        v = tl.load(vertical + pixel * TAPS + i, mask=valid, other=0.0)
        by_row = tl.zeros((PIXELS,), tl.float32)
        for j in range(TAPS):
            column = tl.minimum(tl.maximum(x + j - TAPS // 2, 0), width - 1)
            source = ((b * height + row) * width + column) * channels
            product = tl.zeros((PIXELS,), tl.float32)
            for start in range(0, channels, BLOCK):
                channel = start + tl.arange(0, BLOCK)
                there = valid[:, None] & (channel < channels)[None]
                arriving = tl.load(gradient + pixel[:, None] * channels + channel[None], mask=there, other=0.0)
                taken = tl.load(features + source[:, None] + channel[None], mask=there, other=0.0)
                product += tl.sum(arriving * taken, axis=1)
            h = tl.load(horizontal + pixel * TAPS + j, mask=valid, other=0.0)
            by_row += h * product
            by_column += tl.where(tap[None] == j, (v * product)[:, None], 0.0)
            moved += v * h * product
            kept += tl.where((i == TAPS // 2) & (j == TAPS // 2), product, 0.0)
        tl.store(to_vertical + pixel * TAPS + i, share * by_row, mask=valid)
    tl.store(
        to_horizontal + pixel[:, None] * TAPS + tap[None], share[:, None] * by_column,
        mask=valid[:, None] & (tap < TAPS)[None],
    )  # fmt: skip
    tl.store(to_mask + pixel, moved - kept, mask=valid)
