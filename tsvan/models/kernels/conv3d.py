"""Convolutions over clips, where PyTorch's own are slow or wrong on a CPU (torch 2.13)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsvan.models.precision import compute_dtype


class Conv3d(nn.Conv3d):
    """The same as `nn.Conv3d` without bias, with its parameters and values. On a CPU:

    - Where the weights outweigh the clips, it is a matrix product: oneDNN would turn all weights, and all their
      gradients, into a layout of its own and back, which takes longer than the convolution.
    - In bfloat16 it pads time itself: oneDNN's weight gradient of a convolution over three padded frames is wrong
      (three of the four temporal taps hold uninitialised memory).

    On CUDA, bfloat16 clips of few channels are given channels of zeros, up to a multiple of 8: cuDNN 9 has no kernel
    for tensor cores otherwise, and takes 1.8 ms for each pass of the video discriminator's first layer (H200).
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        assert isinstance(self.padding, tuple)
        if input.device.type != "cpu":
            halves = input.device.type == "cuda" and torch.is_autocast_enabled("cuda")
            if halves and (more := -input.shape[1] % _TOGETHER):
                input, weight = (F.pad(item, (0, 0, 0, 0, 0, 0, 0, more)) for item in (input, weight))
                input = input.contiguous(memory_format=torch.channels_last_3d)
                weight = weight.contiguous(memory_format=torch.channels_last_3d)
            return super()._conv_forward(input, weight, bias)
        if weight.numel() > 2 * input.numel() and bias is None and max(self.dilation) == self.groups == 1:
            return _as_product(input, weight, self.stride, self.padding)
        if not torch.is_autocast_enabled("cpu"):
            return super()._conv_forward(input, weight, bias)
        time, height, width = self.padding
        padded = F.pad(input, (0, 0, 0, 0, time, time))
        return F.conv3d(padded, weight, bias, self.stride, (0, height, width))


Triple = tuple[int, ...]
_TOGETHER = 8  # channels


def _as_product(clips: Tensor, weight: Tensor, stride: Triple, padding: Triple) -> Tensor:
    """Convolve clips (B, C, T, H, W) with weights (O, C, kt, kh, kw) by a matrix product -> (B, O, T', H', W').

    The two gradients are functions apart, so that only those are computed that somebody asks for.
    """
    clips = clips.to(compute_dtype(weight))
    result = _OfClips.apply(clips, weight.detach(), stride, padding)
    if weight.requires_grad and torch.is_grad_enabled():
        result = result + _OfWeights.apply(clips.detach(), weight, stride, padding, result.shape)
    return result


class _OfClips(torch.autograd.Function):
    """The convolution, and its gradient in the clips."""

    @staticmethod
    def forward(ctx: Any, clips: Tensor, weight: Tensor, stride: Triple, padding: Triple) -> Tensor:
        matrix = _matrix(weight.to(clips.dtype))
        ctx.save_for_backward(matrix)
        ctx.shape, ctx.kernel, ctx.stride, ctx.padding = clips.shape, weight.shape[2:], stride, padding
        windows = _windows(_padded(clips, padding), weight.shape[2:], stride)
        return (_unfolded(windows) @ matrix.t()).unflatten(0, windows.shape[:4]).movedim(-1, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (matrix,) = ctx.saved_tensors
        batch, channels, *sizes = ctx.shape
        places = [size + 2 * pad for size, pad in zip(sizes, ctx.padding, strict=True)]
        padded = matrix.new_zeros(batch, *places, channels)
        rows, out = _rows(gradients[0]), gradients[0].shape[2:]
        windows = (rows @ matrix).view(batch, *out, *ctx.kernel, channels)
        reached = _windows(padded, ctx.kernel, ctx.stride)
        for t in range(ctx.kernel[0]):  # the windows of one tap do not overlap
            for y in range(ctx.kernel[1]):
                for x in range(ctx.kernel[2]):
                    reached[:, :, :, :, t, y, x].add_(windows[:, :, :, :, t, y, x])
        inner = [slice(pad, pad + size) for size, pad in zip(sizes, ctx.padding, strict=True)]
        return padded[:, inner[0], inner[1], inner[2]].movedim(-1, 1), None, None, None


class _OfWeights(torch.autograd.Function):
    """Zeros of the convolution's shape, whose gradient in the weights is the convolution's."""

    @staticmethod
    def forward(
        ctx: Any, clips: Tensor, weight: Tensor, stride: Triple, padding: Triple, shape: torch.Size
    ) -> Tensor:
        ctx.save_for_backward(clips)
        ctx.kernel, ctx.dtype, ctx.stride, ctx.padding = weight.shape[2:], weight.dtype, stride, padding
        return clips.new_zeros(()).expand(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (clips,) = ctx.saved_tensors
        windows = _windows(_padded(clips, ctx.padding), ctx.kernel, ctx.stride)
        matrix = _rows(gradients[0]).t() @ _unfolded(windows)
        gradient = matrix.view(-1, *ctx.kernel, clips.shape[1]).movedim(-1, 1)
        return None, gradient.to(ctx.dtype), None, None, None


def _padded(clips: Tensor, padding: Triple) -> Tensor:
    """Pad clips (B, C, T, H, W) -> (B, T + 2 pt, H + 2 ph, W + 2 pw, C) contiguous."""
    time, height, width = padding
    return F.pad(clips.movedim(1, -1), (0, 0, width, width, height, height, time, time)).contiguous()


def _windows(padded: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """View (B, T, H, W, C) as windows (B, T', H', W', kt, kh, kw, C)."""
    counts = [(size - k) // s + 1 for size, k, s in zip(padded.shape[1:4], kernel, stride, strict=True)]
    first, *steps, last = padded.stride()
    strides = [first, *(step * s for step, s in zip(steps, stride, strict=True)), *steps, last]
    return padded.as_strided((len(padded), *counts, *kernel, padded.shape[-1]), strides)


def _unfolded(windows: Tensor) -> Tensor:
    """Copy windows (B, T', H', W', kt, kh, kw, C) into a matrix (B T' H' W', kt kh kw C)."""
    return windows.flatten(4).flatten(0, 3)


def _matrix(weight: Tensor) -> Tensor:
    """Lay weights (O, C, kt, kh, kw) out as a matrix (O, kt kh kw C); channels-last weights lie so already."""
    return weight.movedim(1, -1).flatten(1)


def _rows(gradient: Tensor) -> Tensor:
    """Lay a gradient (B, O, T', H', W') out as rows (B T' H' W', O)."""
    return gradient.movedim(1, -1).flatten(0, 3)
