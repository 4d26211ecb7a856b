"""The masked adaptive convolution on CUDA, in Triton, float32. Interface as in `adaptive_torch`."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from tsvan.models.tables import KERNEL_SIZE

ELEMENTS = 1024  # of one program: pixels times channels, which are shared between few programs
MAX_CHANNELS, MAX_PIXELS = 128, 64  # of one program


def forward(features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor) -> Tensor:
    """Fuse features (B, H, W, C) by kernels (B, H, W, 5) each and mask (B, H, W); all contiguous float32.

    Returns:
        (B, H, W, C).
    """
    _, height, width, channels = features.shape
    result, count = torch.empty_like(features), mask.numel()
    pixels, block = _tile(channels)
    _forward[triton.cdiv(count, pixels), triton.cdiv(channels, block)](
        features, vertical, horizontal, mask, result, count, height, width, channels,
        TAPS=KERNEL_SIZE, PIXELS=pixels, BLOCK=block,
    )  # fmt: skip
    return result


def backward(
    gradient: Tensor, features: Tensor, vertical: Tensor, horizontal: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Compute gradients of the four inputs of `forward`, in their order and shapes."""
    _, height, width, channels = features.shape
    count = mask.numel()
    pixels, block = _tile(channels)
    to_features, to_vertical, to_horizontal, to_mask = map(torch.empty_like, (features, vertical, horizontal, mask))
    _to_features[triton.cdiv(count, pixels), triton.cdiv(channels, block)](
        gradient, vertical, horizontal, mask, to_features, count, height, width, channels,
        TAPS=KERNEL_SIZE, PIXELS=pixels, BLOCK=block,
    )  # fmt: skip
    _to_kernels[(triton.cdiv(count, pixels),)](
        gradient, features, vertical, horizontal, mask, to_vertical, to_horizontal, to_mask,
        count, height, width, channels,
        TAPS=KERNEL_SIZE, PIXELS=pixels, BLOCK=block,
    )  # fmt: skip
    return to_features, to_vertical, to_horizontal, to_mask


def _tile(channels: int) -> tuple[int, int]:
    """Choose the pixels and channels of one program."""
    block = min(triton.next_power_of_2(channels), MAX_CHANNELS)
    return min(max(ELEMENTS // block, 1), MAX_PIXELS), block


@triton.jit
def _weight(vertical, horizontal, mask, pixel, valid, i, j, TAPS: tl.constexpr):  # noqa: N803
    """Compute the kernel's tap (i, j) at pixels (P,): M v h, and 1 - M more at the centre."""
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
def _to_features(
    gradient, vertical, horizontal, mask, to_features, count, height, width, channels,
    TAPS: tl.constexpr, PIXELS: tl.constexpr, BLOCK: tl.constexpr,  # noqa: N803
):  # fmt: skip
    """Compute the gradient in the features.

    Each pixel gathers from the pixels whose kernels read it, or its replicas beyond a border.
    """
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    valid, inside = pixel < count, channel < channels
    x, y, b = pixel % width, (pixel // width) % height, pixel // (width * height)
    total = tl.zeros((PIXELS, BLOCK), tl.float32)
    for i in range(TAPS):
        row = y + TAPS // 2 - i  # of the pixel that reads this one with its tap (i, j)
        for j in range(TAPS):
            column = x + TAPS // 2 - j
            there = valid & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            reader = (b * height + row) * width + column
            v = _reading(vertical, reader, there, i, y == 0, y == height - 1, TAPS, PIXELS)
            h = _reading(horizontal, reader, there, j, x == 0, x == width - 1, TAPS, PIXELS)
            share = tl.load(mask + reader, mask=there, other=0.0)
            centre = (i == TAPS // 2) & (j == TAPS // 2)
            weight = share * v * h + tl.where(there & centre, 1.0 - share, 0.0)
            arriving = tl.load(
                gradient + reader[:, None] * channels + channel[None], mask=there[:, None] & inside[None], other=0.0
            )
            total += weight[:, None] * arriving
    tl.store(to_features + pixel[:, None] * channels + channel[None], total, mask=valid[:, None] & inside[None])


@triton.jit
def _reading(kernel, reader, there, straight, first, last, TAPS: tl.constexpr, PIXELS: tl.constexpr):  # noqa: N803
    """Sum along one axis a reader's taps (P,) that read the pixel.

    These are the straight one, and for the first or last pixel all that reach beyond it.
    """
    total = tl.zeros((PIXELS,), tl.float32)
    for tap in range(TAPS):
        reads = there & ((tap == straight) | (first & (tap < straight)) | (last & (tap > straight)))
        total += tl.load(kernel + reader * TAPS + tap, mask=reads, other=0.0)
    return total


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
