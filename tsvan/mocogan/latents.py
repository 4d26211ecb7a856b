"""What MoCoGAN's frames and clips are made from, in training and in sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.mocogan.generator import Generator
from tsvan.mocogan.networks import MocoganNetworks
from tsvan.random_draws import Draws, latent_rows


@dataclass(frozen=True)
class Latents:
    """The latents of a batch of clips.

    Args:
        content: z_c, (B, content_dim).
        labels: categories, (B,) int64.
        start: h_0, (B, motion_dim).
        noise: e_1..e_T, (B, T, motion_dim).
    """

    content: Tensor
    labels: Tensor
    start: Tensor
    noise: Tensor

    def clips(self, generator: Generator) -> Tensor:
        """Generate the clips, (B, 3, T, 64, 64)."""
        return generator.clips(self.content, self.labels, generator.motion(self.start, self.noise))

    def frames(self, generator: Generator, times: Tensor) -> Tensor:
        """Generate frame `times` (B,), from 0, of each clip, without the others: (B, 3, 64, 64)."""
        states = generator.motion(self.start, self.noise)
        chosen = states.gather(1, times[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]  # (B, motion_dim)
        return generator.frames(self.content, self.labels, chosen)


def drawn(networks: MocoganNetworks, batch: int, frames: int, draws: Draws) -> Latents:
    """Draw the latents of a training batch, each category equally likely."""
    config = networks.config
    content = draws.noise(batch, config.content_dim)
    labels = uniform(draws, batch, networks.num_classes)
    start = draws.noise(batch, config.motion_dim)
    return Latents(content, labels, start, draws.noise(batch, frames, config.motion_dim))


def uniform(draws: Draws, count: int, choices: int) -> Tensor:
    """Draw `count` integers in 0..choices - 1 on the device, where a captured graph draws them anew."""
    shares = torch.special.ndtr(draws.noise(count))  # of a normal number: uniform in [0, 1]
    return (shares * choices).long().clamp(max=choices - 1)


def of_seeds(networks: MocoganNetworks, seeds: NDArray[np.int64], labels: Tensor, frames: int) -> Latents:
    """Draw every clip's latents from a seed of its own; a shorter clip is the beginning of a longer one.

    Args:
        seeds: (N,).
        labels: (N,), on the networks' device.
    """
    content_dim, motion_dim = networks.config.content_dim, networks.config.motion_dim
    rows = latent_rows(seeds, content_dim + motion_dim * (1 + frames)).to(labels.device)
    content, start, noise = rows.split([content_dim, motion_dim, motion_dim * frames], dim=1)
    return Latents(content, labels, start, noise.unflatten(1, (frames, motion_dim)))
