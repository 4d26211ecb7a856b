"""Clips from latents (section 4, "Sampling"; section A: the network is heated up for two time steps).

A clip depends on its own seed alone, so batches are as large as the device takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import psutil  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.models.networks import Networks, difference
from tsvan.models.precision import full

HEAT_UP = 2
CPU_BATCH = 64  # the fastest on average over widths and precisions: `python -m benchmarks.sampling`
CUDA_BATCH = 4096  # beyond it a kernel's 32-bit index of the widest layer could overflow
_USED = 0.8  # of the memory that is free: fragments and workspaces need the rest
_LIVE_MAPS = 6  # maps of ngf + 64 channels at 64 x 64 that live at once, a clip; half as many were seen on a CPU


def latents(seeds: NDArray[np.int64], content_dim: int, motion_dim: int, steps: int) -> tuple[Tensor, Tensor]:
    """Every clip's latents from a seed of its own, the same on every device and in every batch.

    Args:
        seeds: (N,).
        steps: motion latents of a clip.

    Returns:
        z_c (N, content_dim) and z_m (N, steps, motion_dim), standard normal, float32, on the CPU.
    """
    size = steps * motion_dim + content_dim
    # NumPy's generator takes all 64 bits of a seed; torch's on the CPU would only look at the lower 32.
    rows = [np.random.default_rng(int(seed)).standard_normal(size, dtype=np.float32) for seed in seeds]
    drawn = torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, size)
    motion, content = drawn.tensor_split([steps * motion_dim], dim=1)
    return content, motion.view(-1, steps, motion_dim)


def generate(
    networks: Networks,
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
        num_frames: frames of a clip after the heat-up.
        batch_size: clips at once; None: as many as fit, and fewer where they turn out not to.
        share: of the device's memory that may be used.

    Yields:
        (b, 3, T, 64, 64) float32, clamped to [-1, 1], on the networks' device.
    """
    weight = next(networks.parameters())
    start, size = 0, batch_size or fitting_batch(networks, weight.device, share)
    while start < len(seeds):
        part = slice(start, start + size)
        try:
            clips = _sample(networks, seeds[part], labels[part], num_frames, weight, precision)
        except torch.OutOfMemoryError:
            if batch_size is not None or size == 1:
                raise
            size //= 2
            continue
        start += size
        yield clips
        del clips  # the next batch needs its room


def fitting_batch(networks: Networks, device: torch.device, share: float = 1.0) -> int:
    """Clips that can be sampled at once on a device: by its free memory, on a CPU at most as many as are fastest.

    What PyTorch keeps for later is given back before: what captured graphs keep is free to nobody else.

    Args:
        share: of the device's memory that may be used.
    """
    a_clip = _LIVE_MAPS * 4 * 64 * 64 * (networks.config.ngf + 64)
    if device.type != "cuda":
        return _clamped(psutil.virtual_memory().available * _USED * share / a_clip, CPU_BATCH)
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    room = min(free, share * total - torch.cuda.memory_reserved(device))
    return _clamped(room * _USED / a_clip, CUDA_BATCH)


def _clamped(fitting: float, most: int) -> int:
    return max(1, min(int(fitting), most))


def _sample(
    networks: Networks,
    seeds: NDArray[np.int64],
    labels: NDArray[np.int64],
    num_frames: int,
    weight: Tensor,
    precision: str,
) -> Tensor:
    """One batch; the networks are in evaluation mode meanwhile."""
    config, device, was_training = networks.config, weight.device, networks.training
    z_c, z_m = latents(seeds, config.content_dim, config.motion_dim, num_frames + HEAT_UP - 1)
    onehot = networks.one_hot(torch.as_tensor(labels, device=device))
    networks.eval()
    try:
        # In inference mode autocast would convert every weight again for every frame.
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            return roll_out(networks, z_c.to(weight), z_m.to(weight), onehot)[:, :, HEAT_UP:].clamp(-1, 1)
    finally:
        networks.train(was_training)


def roll_out(networks: Networks, z_c: Tensor, z_m: Tensor, onehot: Tensor) -> Tensor:
    """Frame 0 from z_c, then one frame a motion latent, each from the frame before it; frames feed back unclamped.

    Args:
        z_c: (B, content_dim).
        z_m: (B, steps, motion_dim).
        onehot: (B, K).

    Returns:
        (B, 3, steps + 1, 64, 64) float32.
    """
    frames = [full(networks.content_decoder(z_c, onehot))]
    state = networks.no_history(len(z_c), z_c.device)
    joint = networks.motion_decoder.joint
    joint_weight = None if joint is None else joint.gathered()  # in autocast's type, once for all frames
    for t in range(z_m.shape[1]):
        if t > 0:
            state = networks.advance(networks.motion_encoder.maps(difference(frames[t - 1], frames[t])), state)
        content = networks.content(frames[t], onehot)
        frames.append(networks.next_frame(content, z_m[:, t], state, onehot, joint_weight)[0])
    return torch.stack(frames, dim=2)
