"""The motion stream (table 2): E_m, and G_m with the latent-map layer, the LSTM and the joint layers. All its layers
have biases."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsvan.config import ModelConfig
from tsvan.models.fusion import Subnet
from tsvan.models.joint import Joint
from tsvan.models.layout import as_map
from tsvan.models.stack import Stack
from tsvan.models.statistics import Apart
from tsvan.models.tables import MAP_SIZE, Architecture

LstmState = tuple[Tensor, Tensor]
"""(h, c), each (B, C, 8, 8)."""


class MotionEncoder(nn.Module):
    """E_m: frame differences -> difference maps, and from a map the posterior of z_m."""

    def __init__(self, config: ModelConfig, table: Architecture, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for group in table.motion_encoder:
            for conv in group:
                layers.append(nn.Conv2d(channels, conv.width, conv.kernel, padding=conv.kernel // 2))
                layers += _active(conv.width)
                channels = conv.width
            layers.append(nn.MaxPool2d(2))
        self.convs = Stack(*layers)
        hidden: list[nn.Module] = [nn.Linear(channels * MAP_SIZE**2, table.motion_hidden)]
        if table.motion_hidden_norm:
            hidden.append(nn.BatchNorm1d(table.motion_hidden))
        self.hidden = nn.Sequential(*hidden, nn.ReLU())
        self.mean = nn.Linear(table.motion_hidden + num_classes, config.motion_dim)
        self.logvar = nn.Linear(table.motion_hidden + num_classes, config.motion_dim)

    def maps(self, differences: Tensor, apart: Apart | None = None) -> Tensor:
        """Map differences (B, 3, 64, 64) to difference maps (B, C, 8, 8); `apart`: the batches that these are."""
        return self.convs(differences, apart=apart)

    def posterior(self, maps: Tensor, onehot: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the posterior of z_m from difference maps (B, C, 8, 8) and one-hot labels (B, K).

        Returns:
            Its mean and log-variance, (B, motion_dim) each.
        """
        hidden = self.hidden(maps.flatten(1))
        hidden = torch.cat([hidden, onehot.to(hidden.dtype)], dim=1)
        return self.mean(hidden), self.logvar(hidden)


class ConvLstmCell(nn.Module):
    """Convolutional LSTM, 3 x 3: c <- c sigmoid(f + 1) + sigmoid(i) tanh(j); h <- sigmoid(o) tanh(c)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)

    def start(self, like: Tensor) -> LstmState:
        """Make the zero state for a batch like (B, C, 8, 8). The release starts from ones, against its own comment."""
        return torch.zeros_like(like), torch.zeros_like(like)

    def forward(self, inputs: Tensor, state: LstmState) -> LstmState:
        h, c = state
        i, j, f, o = self.gates(torch.cat([inputs, h.to(inputs.dtype)], dim=1)).chunk(4, dim=1)
        c = c * torch.sigmoid(f + 1) + torch.sigmoid(i) * torch.tanh(j)
        return torch.sigmoid(o) * torch.tanh(c), c


class MotionDecoder(nn.Module):
    """G_m with the latent-map layer, the LSTM and the joint layers."""

    def __init__(self, config: ModelConfig, table: Architecture, num_classes: int) -> None:
        super().__init__()
        size = table.map_channels * MAP_SIZE**2
        self.shape = (table.map_channels, MAP_SIZE, MAP_SIZE)
        self.kernel_channels = table.kernel_channels
        self.first_scale = len(table.motion_decoder) - config.kernel_layers
        self.latent = nn.Sequential(nn.Linear(config.motion_dim + num_classes, size), nn.ReLU())
        self.lstm = ConvLstmCell(table.map_channels)
        self.joint = Joint(table.content_hidden * config.ngf, table) if config.joint else None
        scales: list[nn.Module] = []
        subnets: dict[str, nn.Module] = {}
        channels = table.map_channels
        for scale, (width, taken) in enumerate(zip(table.motion_decoder, table.kernel_channels, strict=True)):
            kernel, stride = (4, 2) if scale else (3, 1)
            grow = nn.ConvTranspose2d(channels, width, kernel, stride, padding=1)
            smooth = nn.Conv2d(width, width, 3, padding=1)
            scales.append(Stack(grow, *_active(width), smooth, *_active(width)))
            if scale >= self.first_scale:
                subnets[str(scale)] = Subnet(taken, table, config.mask)
            channels = width - taken
        self.scales = nn.ModuleList(scales)
        self.subnets = nn.ModuleDict(subnets)

    def latent_map(self, z_m: Tensor, onehot: Tensor) -> Tensor:
        """Map z_m (B, motion_dim) and one-hot labels (B, K) to the latent map (B, C, 8, 8)."""
        return as_map(self.latent(torch.cat([z_m, onehot.to(z_m.dtype)], dim=1)), self.shape)

    def kernels(
        self, motion: Tensor, apart: Apart | None = None
    ) -> dict[int, tuple[Tensor, Tensor, Tensor | None]]:
        """Map a motion map (B, C, 8, 8) to the vertical and horizontal kernels and the mask of each fused scale.

        Args:
            apart: the batches that these are.
        """
        result = {}
        for scale, layers in enumerate(self.scales):
            taken = self.kernel_channels[scale]
            features = layers(motion, apart=apart)
            mine, motion = features.split([taken, features.shape[1] - taken], dim=1)
            if scale >= self.first_scale:
                result[scale] = self.subnets[str(scale)](mine, apart)
        return result


def _active(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()]
