"""D_I judges frames (table 1), D_V judges and classifies clips (table 2). LeakyReLU 0.2, no biases."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tsvan.models.kernels.conv3d import Conv3d
from tsvan.models.stack import Stack

SLOPE = 0.2


class ImageDiscriminator(nn.Module):
    """D_I: frames (B, 3, 64, 64) -> real/fake logits (B, 1, 4, 4). The sigmoid is in the loss."""

    def __init__(self, widths: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for index, width in enumerate(widths):
            layers.append(nn.Conv2d(channels, width, 4, stride=2, padding=1, bias=False))
            if index > 0:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.LeakyReLU(SLOPE))
            channels = width
        layers.append(nn.Conv2d(channels, 1, 4, stride=2, padding=1, bias=False))
        self.layers = Stack(*layers)

    def forward(self, frames: Tensor) -> Tensor:
        return self.layers(frames)


class VideoDiscriminator(nn.Module):
    """The layers of D_V: clips (B, 3, T, 64, 64), T >= 10 -> logits (B, num_outputs), averaged over time when T > 10.

    As a discriminator, output 0 is the real/fake logit and the K others are class logits. (Table 2 prints 512 outputs,
    stride (1, 2, 2) and padding (0, 1, 1) for the last layer, which does not give one logit.)
    """

    def __init__(self, num_outputs: int, widths: Sequence[int] = (64, 128, 256, 512)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for index, width in enumerate(widths):
            padding = (0, 1, 1) if index < 2 else (1, 1, 1)
            layers.append(Conv3d(channels, width, 4, stride=(1, 2, 2), padding=padding, bias=False))
            if index > 0:
                layers.append(nn.BatchNorm3d(width))
            layers.append(nn.LeakyReLU(SLOPE))
            channels = width
        self.body = Stack(*layers)
        self.head = Conv3d(channels, num_outputs, 4, stride=1, padding=(1, 0, 0), bias=False)

    def features(self, clips: Tensor) -> Tensor:
        """Compute what the last layer sees: (B, 3, T, 64, 64) -> (B, widths[-1], T - 8, 4, 4)."""
        return self.body(clips)

    def forward(self, clips: Tensor) -> Tensor:
        logits = self.head(self.features(clips))  # (B, num_outputs, T - 9, 1, 1)
        return logits.mean(dim=(2, 3, 4))
