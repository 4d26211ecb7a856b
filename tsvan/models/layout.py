"""Memory formats: maps and clips lie channels-last, which convolutions of CPUs (oneDNN) and GPUs (cuDNN) want.

Shapes stay (B, C, H, W) and (B, C, T, H, W); only the order in memory differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def as_map(vectors: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Lay the outputs (B, C * H * W) of a linear layer out as a map (B, C, H, W)."""
    return vectors.view(-1, *shape).contiguous(memory_format=torch.channels_last)


def as_clips(clips: Tensor) -> Tensor:
    """Lay clips (B, C, T, H, W) out channels last."""
    return clips.contiguous(memory_format=torch.channels_last_3d)


def by_time(clips: Tensor) -> Tensor:
    """Turn clips (B, C, T, H, W) into their frames (T B, C, H, W), time by time."""
    return clips.permute(2, 0, 3, 4, 1).flatten(0, 1).permute(0, 3, 1, 2)


def in_time(frames: Sequence[Tensor]) -> Tensor:
    """Join T batches of frames (B, C, H, W) to clips (B, C, T, H, W)."""
    return torch.stack([frame.permute(0, 2, 3, 1) for frame in frames], dim=1).permute(0, 4, 1, 2, 3)


def channels_last(module: nn.Module) -> None:
    """Lay the weights of all convolutions out channels-last, or each call would turn them."""
    for parameter in module.parameters():
        formats = {4: torch.channels_last, 5: torch.channels_last_3d}
        if parameter.dim() in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.dim()])


def laid_out_as(parameter: Tensor, values: Tensor) -> Tensor:
    """Give `values` the strides of the parameter whose shape they have; they are copied only where they differ."""
    if values.stride() == parameter.stride():
        return values
    return torch.empty_like(parameter, requires_grad=False).copy_(values)
