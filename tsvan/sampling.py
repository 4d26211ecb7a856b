"""Clips from latents, whichever model makes them.

A clip depends on its own seed alone, so batches are as large as the device takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tsvan.interface import implementation_of
from tsvan.out_of_memory import memory_error

CPU_BATCH = 64  # the fastest on average over widths and precisions: `python -m benchmarks.sampling`
CUDA_BATCH = 4096  # beyond it a kernel's 32-bit index of the widest layer could overflow
_USED = 0.8  # of the memory that is free: fragments and workspaces need the rest


def generate(
    networks: nn.Module,
    seeds: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    num_frames: int = 10,
    batch_size: int | None = None,
    precision: str = "fp32",
    share: float = 1.0,
) -> Iterator[Tensor]:
    """Sample clips, batch by batch in the order of the seeds, with the networks in evaluation mode.

    Args:
        seeds: (N,), one a clip.
        labels: (N,), in [0, K).
        num_frames: frames of a clip.
        batch_size: clips at once; None: as many as fit, and fewer where they turn out not to.
        share: of the device's memory that may be used.

    Yields:
        (b, 3, T, 64, 64) float32, clamped to [-1, 1], on the networks' device.
    """
    weight = next(networks.parameters())
    start, size = 0, batch_size or fitting_batch(networks, weight.device, share, num_frames)
    while start < len(seeds):
        part = slice(start, start + size)
        try:
            clips = _sample(networks, seeds[part], labels[part], num_frames, weight, precision)
        except (RuntimeError, MemoryError) as error:
            if batch_size is not None or size == 1 or not memory_error(error):
                raise
            size //= 2
            continue
        start += size
        yield clips
        del clips  # the next batch needs its room


def fitting_batch(networks: nn.Module, device: torch.device, share: float = 1.0, num_frames: int = 10) -> int:
    """Tell how many clips can be sampled at once: by a device's free memory, on a CPU at most as many as are fastest.

    What PyTorch keeps for later is given back before: what captured graphs keep is free to nobody else.

    Args:
        share: of the device's memory that may be used.
        num_frames: frames of a clip.
    """
    a_clip = implementation_of(networks).bytes_a_clip(networks, num_frames)
    if device.type != "cuda":
        return _clamped(psutil.virtual_memory().available * _USED * share / a_clip, CPU_BATCH)
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    room = min(free, share * total - torch.cuda.memory_reserved(device))
    return _clamped(room * _USED / a_clip, CUDA_BATCH)


def _clamped(fitting: float, most: int) -> int:
    return max(1, min(int(fitting), most))


def _sample(
    networks: nn.Module,
    seeds: NDArray[np.int64],
    labels: NDArray[np.int64],
    num_frames: int,
    weight: Tensor,
    precision: str,
) -> Tensor:
    """Sample one batch; the networks are in evaluation mode meanwhile."""
    device, was_training = weight.device, networks.training
    model, chosen = implementation_of(networks), torch.as_tensor(labels, device=device)
    networks.eval()
    try:
        # In inference mode autocast would convert every weight again for every frame.
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return model.sample(networks, seeds, chosen, num_frames).clamp(-1, 1)
    finally:
        networks.train(was_training)
