"""The layer tables, as data: tables 1 and 2 of the supplement, the release's, and two small ones.

A variant of the architecture is another `Architecture` here, not another class.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FRAME_SIZE = 64
MAP_SIZE = 8  # side of the content map, the difference map and the latent map, in pixels
SCALES = (8, 16, 32, 64)  # sides of the four fused maps, in pixels
KERNEL_SIZE = 5  # taps of an adaptive kernel in each direction


@dataclass(frozen=True)
class Conv:
    """One convolution; `width` is its number of output channels (content stream: a multiple of ngf)."""

    width: int
    kernel: int = 3
    stride: int = 1
    norm: bool = True


@dataclass(frozen=True)
class Architecture:
    """Layers of all networks.

    Args:
        content_encoder: E_c's convolutions, widths as multiples of ngf; the last one ends at 8 x 8.
        content_decoder: G_c's transposed convolutions by scale: what leads to 8, 16, 32 and 64 pixels, widths as
            multiples of ngf; the RGB layer is added after the last.
        content_hidden: width of E_c's and G_c's first linear layer, as a multiple of ngf.
        motion_encoder: E_m's convolutions, a group before each max-pooling; the last width is that of the maps.
        motion_hidden: width of E_m's linear layer.
        motion_hidden_norm: batch norm after it.
        joint_motion: width that the LSTM's output is reduced to before the outer product.
        motion_decoder: G_m's widths at 8, 16, 32 and 64 pixels.
        kernel_channels: how many of those, the first ones, go to the scale's subnet; the rest goes on.
        subnet_width: channels inside a subnet.
        subnet_deep: `release`: another convolution in each branch of the subnet.
        image_discriminator: D_I's widths before the logit.
        video_discriminator: D_V's widths before the logits.
    """

    content_encoder: tuple[Conv, ...]
    content_decoder: tuple[tuple[Conv, ...], ...]
    content_hidden: int
    motion_encoder: tuple[tuple[Conv, ...], ...]
    motion_hidden: int
    motion_hidden_norm: bool
    joint_motion: int
    motion_decoder: tuple[int, int, int, int]
    kernel_channels: tuple[int, int, int, int]
    subnet_width: int
    subnet_deep: bool
    image_discriminator: tuple[int, ...]
    video_discriminator: tuple[int, ...]

    @property
    def map_channels(self) -> int:
        """Return the channels of the difference map, the latent map and the LSTM."""
        return self.motion_encoder[-1][-1].width


_PAPER = Architecture(
    content_encoder=(Conv(1, stride=2), Conv(1), Conv(2, stride=2), Conv(2), Conv(1, stride=2)),
    # Table 1 prints stride 2 for the RGB layer; 64 x 64 needs 1.
    content_decoder=((), (Conv(8, stride=2),), (Conv(4), Conv(2, stride=2)), (Conv(2), Conv(1, stride=2))),
    content_hidden=32,
    motion_encoder=((Conv(16, 5), Conv(16, 5)), (Conv(32, 5), Conv(32, 5)), (Conv(32, 7), Conv(16, 7))),
    motion_hidden=512,
    motion_hidden_norm=False,
    joint_motion=64,
    motion_decoder=(128, 64, 32, 16),
    kernel_channels=(32, 22, 16, 16),
    subnet_width=16,
    subnet_deep=False,
    image_discriminator=(16, 32, 64),
    video_discriminator=(64, 128, 256, 512),
)

_TINY = replace(
    _PAPER,
    content_decoder=((), (Conv(2, stride=2),), (Conv(1), Conv(1, stride=2)), (Conv(1), Conv(1, stride=2))),
    content_hidden=4,
    motion_encoder=((Conv(4, 3), Conv(4, 3)), (Conv(4, 3), Conv(4, 3)), (Conv(4, 3), Conv(4, 3))),
    motion_hidden=16,
    joint_motion=4,
    motion_decoder=(12, 10, 8, 4),
    kernel_channels=(4, 4, 4, 4),
    subnet_width=4,
    image_discriminator=(4, 8, 8),
    video_discriminator=(4, 8, 8, 16),
)

ARCHITECTURES: dict[str, Architecture] = {
    "paper": _PAPER,
    "release": replace(
        _PAPER,
        content_encoder=(Conv(1), Conv(1, stride=2), Conv(1), Conv(2, stride=2), Conv(2), Conv(1, stride=2)),
        motion_hidden_norm=True,
        subnet_deep=True,
    ),
    # A content stream that is wide where maps are small: it learns a figure in seconds of a CPU.
    "small": replace(
        _TINY,
        content_encoder=(Conv(1, 5, stride=2), Conv(2, stride=2), Conv(4, stride=2)),
        content_decoder=((), (Conv(4, stride=2),), (Conv(2, stride=2),), (Conv(1, stride=2),)),
        content_hidden=8,
    ),
    "tiny": _TINY,
}
