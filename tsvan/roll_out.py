"""How TwoStreamVAN makes clips from latents: frame 0, and each frame from the one before it (section 4, "Sampling")."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.models.networks import Networks, difference
from tsvan.models.precision import full
from tsvan.random_draws import latent_rows

HEAT_UP = 2
"""Frames that are made first and dropped (section A: the network is heated up for two time steps)."""


def latents(seeds: NDArray[np.int64], content_dim: int, motion_dim: int, steps: int) -> tuple[Tensor, Tensor]:
    """Draw every clip's latents from a seed of its own, the same on every device and in every batch.

    Args:
        seeds: (N,).
        steps: motion latents of a clip.

    Returns:
        z_c (N, content_dim) and z_m (N, steps, motion_dim), standard normal, float32, on the CPU.
    """
    size = steps * motion_dim + content_dim
    motion, content = latent_rows(seeds, size).tensor_split([steps * motion_dim], dim=1)
    return content, motion.view(-1, steps, motion_dim)


def roll_out(networks: Networks, z_c: Tensor, z_m: Tensor, onehot: Tensor) -> Tensor:
    """Generate frame 0 from z_c, then a frame for each motion latent from the frame before; frames feed back unclamped.

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
