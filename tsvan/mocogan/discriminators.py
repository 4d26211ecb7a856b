"""MoCoGAN's discriminators, of frames and of clips, with noise on what their convolutions see. LeakyReLU 0.2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tsvan.models.kernels.conv3d import Conv3d
from tsvan.models.stack import Stack
from tsvan.random_draws import Draws

SLOPE = 0.2


class Discriminator(nn.Module):
    """Convolutions one after another; in training the first ones see their inputs through noise.

    Args:
        blocks: a convolution each, with its norm and activation.
        noisy: how many of them, from the first on.
    """

    def __init__(self, blocks: Sequence[nn.Module], noisy: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.noisy = noisy

    def forward(self, inputs: Tensor, draws: Draws, sigma: float) -> Tensor:
        """Compute logits of frames or clips.

        Args:
            inputs: (B, 3, 64, 64) or (B, 3, T, 64, 64).
            draws: where the noise comes from.
            sigma: its standard deviation.
        """
        features = inputs
        for number, block in enumerate(self.blocks):
            if self.training and sigma > 0 and number < self.noisy:
                features = torch.add(features, _noise_like(features, draws), alpha=sigma)
            features = block(features)
        return features


def image_discriminator(ndf: int) -> Discriminator:
    """Build D_I: frames (B, 3, 64, 64) -> real/fake logits of patches (B, 1, 4, 4)."""
    widths = (ndf, 2 * ndf, 4 * ndf)
    blocks: list[nn.Module] = []
    channels = 3
    for number, width in enumerate(widths):
        norm = [nn.BatchNorm2d(width)] if number else []
        blocks.append(Stack(nn.Conv2d(channels, width, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(SLOPE)))
        channels = width
    blocks.append(nn.Conv2d(channels, 1, 4, 2, 1, bias=False))
    return Discriminator(blocks, noisy=len(blocks))


def video_discriminator(ndf: int, num_outputs: int) -> Discriminator:
    """Build D_V: clips (B, 3, T, 64, 64), T >= 16 -> (B, num_outputs, T - 15, 1, 1).

    Output 0 is the real/fake logit, the others are class logits.
    """
    blocks: list[nn.Module] = []
    channels = 3
    for number, width in enumerate((ndf, 2 * ndf, 4 * ndf, 8 * ndf)):
        norm = [nn.BatchNorm3d(width)] if number else []
        convolution = Conv3d(channels, width, 4, stride=(1, 2, 2), padding=(0, 1, 1), bias=False)
        blocks.append(Stack(convolution, *norm, nn.LeakyReLU(SLOPE)))
        channels = width
    blocks.append(Conv3d(channels, num_outputs, 4, bias=False))
    return Discriminator(blocks, noisy=len(blocks) - 1)


def _noise_like(features: Tensor, draws: Draws) -> Tensor:
    """Draw standard normal noise of the features' shape and type, channels last as they are."""
    batch, channels, *sizes = features.shape
    return draws.noise(batch, *sizes, channels).movedim(-1, 1).to(features.dtype)
