"""All networks of one run of MoCoGAN."""

from __future__ import annotations

from torch import nn

from tsvan.mocogan.config import ModelConfig
from tsvan.mocogan.discriminators import image_discriminator, video_discriminator
from tsvan.mocogan.generator import Generator

OWNERS = ("generator", "image_discriminator", "video_discriminator")
"""The three owners of weights; each has an optimiser of its own."""


class MocoganNetworks(nn.Module):
    """Generator, D_I and D_V at PyTorch's default initial weights.

    Args:
        config: shapes.
        num_classes: K; at K = 1 there are neither category codes nor class logits.
    """

    def __init__(self, config: ModelConfig, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.generator = Generator(config.content_dim, config.motion_dim, config.ngf, num_classes)
        self.image_discriminator = image_discriminator(config.ndf)
        self.video_discriminator = video_discriminator(config.ndf, 1 + num_classes if num_classes > 1 else 1)
