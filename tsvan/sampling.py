"""Clips from latents (section 4, "Sampling"; section A: the network is heated up for two time steps)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.models.networks import Networks, difference
from tsvan.models.precision import full

HEAT_UP = 2


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
    batch_size: int = 64,
    precision: str = "fp32",
) -> Iterator[Tensor]:
    """Sample clips, batch by batch in the order of the seeds, with the networks in evaluation mode.

    Args:
        seeds: (N,), one a clip.
        labels: (N,), in [0, K).
        num_frames: frames of a clip after the heat-up.

    Yields:
        (b, 3, T, 64, 64) float32, clamped to [-1, 1], on the networks' device.
    """
    config = networks.config
    weight = next(networks.parameters())
    device = weight.device
    was_training = networks.training
    for start in range(0, len(seeds), batch_size):
        part = slice(start, start + batch_size)
        z_c, z_m = latents(seeds[part], config.content_dim, config.motion_dim, num_frames + HEAT_UP - 1)
        onehot = networks.one_hot(torch.as_tensor(labels[part], device=device))
        networks.eval()
        try:
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
                clips = roll_out(networks, z_c.to(weight), z_m.to(weight), onehot)
        finally:
            networks.train(was_training)
        yield clips[:, :, HEAT_UP:].clamp(-1, 1)


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
    for t in range(z_m.shape[1]):
        if t > 0:
            state = networks.advance(networks.motion_encoder.maps(difference(frames[t - 1], frames[t])), state)
        content = networks.content(frames[t], onehot)
        frames.append(networks.next_frame(content, z_m[:, t], state, onehot)[0])
    return torch.stack(frames, dim=2)
