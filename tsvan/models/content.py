"""The content stream (table 1): E_c, and G_c with the layers from z_c to the content map. No batch norm;
convolutions without bias, linear layers with bias."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tsvan.config import ModelConfig
from tsvan.models.layout import as_map
from tsvan.models.stack import Stack
from tsvan.models.tables import MAP_SIZE, Architecture


class ContentEncoder(nn.Module):
    """E_c: frames (B, 3, 64, 64) and one-hot labels (B, K) -> mean and log-variance of z_c, (B, content_dim) each."""

    def __init__(self, config: ModelConfig, table: Architecture, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for conv in table.content_encoder:
            width = conv.width * config.ngf
            layers += [nn.Conv2d(channels, width, conv.kernel, conv.stride, conv.kernel // 2, bias=False), nn.ReLU()]
            channels = width
        hidden = table.content_hidden * config.ngf
        self.convs = Stack(*layers)
        self.hidden = nn.Sequential(nn.Linear(channels * MAP_SIZE**2, hidden), nn.ReLU())
        self.mean = nn.Linear(hidden + num_classes, config.content_dim)
        self.logvar = nn.Linear(hidden + num_classes, config.content_dim)

    def forward(self, frames: Tensor, onehot: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self._hidden(frames, onehot)
        return self.mean(hidden), self.logvar(hidden)

    def mean_only(self, frames: Tensor, onehot: Tensor) -> Tensor:
        """Compute the mean of z_c, (B, content_dim)."""
        return self.mean(self._hidden(frames, onehot))

    def _hidden(self, frames: Tensor, onehot: Tensor) -> Tensor:
        hidden = self.hidden(self.convs(frames).flatten(1))
        return torch.cat([hidden, onehot.to(hidden.dtype)], dim=1)


class ContentDecoder(nn.Module):
    """G_c with the layers from z_c to the content map.

    `stages` holds the transposed convolutions that lead to the maps at 8 (none), 16, 32 and 64 pixels; between them
    the motion stream fuses its motion in.
    """

    def __init__(self, config: ModelConfig, table: Architecture, num_classes: int) -> None:
        super().__init__()
        self.ngf = config.ngf
        hidden = table.content_hidden * config.ngf
        self.hidden = nn.Sequential(nn.Linear(config.content_dim + num_classes, hidden), nn.ReLU())
        self.to_map = nn.Sequential(nn.Linear(hidden, config.ngf * MAP_SIZE**2), nn.ReLU())
        stages: list[nn.Module] = []
        channels = config.ngf
        for index, convs in enumerate(table.content_decoder):
            layers: list[nn.Module] = []
            for conv in convs:
                width = conv.width * config.ngf
                layers += [_deconv(channels, width, conv.stride), nn.ReLU()]
                channels = width
            if index == len(table.content_decoder) - 1:
                layers += [_deconv(channels, 3, 1), nn.Tanh()]
            stages.append(Stack(*layers))
        self.stages = nn.ModuleList(stages)

    def content_hidden(self, z_c: Tensor, onehot: Tensor) -> Tensor:
        """Map z_c (B, content_dim) to (B, 32 ngf), the content side of the joint features."""
        return self.hidden(torch.cat([z_c, onehot.to(z_c.dtype)], dim=1))

    def content_map(self, hidden: Tensor) -> Tensor:
        """Map content_hidden (B, 32 ngf) to the content map (B, ngf, 8, 8)."""
        return as_map(self.to_map(hidden), (self.ngf, MAP_SIZE, MAP_SIZE))

    def render(
        self,
        content_map: Tensor,
        fuse: Callable[[int, Tensor], Tensor] = lambda scale, features: features,
        stages: int = 4,
    ) -> Tensor:
        """Render content maps (B, ngf, 8, 8) as frames (B, 3, 64, 64).

        Args:
            fuse: called as `fuse(scale index, map)` at 8, 16, 32 and 64 pixels; returns what goes on.
            stages: stop after this many scales.
        """
        features = content_map
        for scale, stage in enumerate(self.stages[:stages]):
            features = fuse(scale, stage(features))
        return features

    def forward(self, z_c: Tensor, onehot: Tensor) -> Tensor:
        return self.render(self.content_map(self.content_hidden(z_c, onehot)))


def _deconv(channels: int, width: int, stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, width, 3, stride, padding=1, output_padding=stride - 1, bias=False)
