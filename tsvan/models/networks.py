"""All networks of one run, and how they make the next frame from a content and a motion."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tsvan.config import ModelConfig
from tsvan.models.content import ContentDecoder, ContentEncoder
from tsvan.models.discriminators import ImageDiscriminator, VideoDiscriminator
from tsvan.models.fusion import fuse
from tsvan.models.initialise import initialise, start_kernels_as_identity
from tsvan.models.joint import GatheredWeight
from tsvan.models.motion import LstmState, MotionDecoder, MotionEncoder
from tsvan.models.precision import full
from tsvan.models.statistics import Apart
from tsvan.models.tables import ARCHITECTURES

OWNERS = (
    "content_encoder",
    "content_decoder",
    "motion_encoder",
    "motion_decoder",
    "image_discriminator",
    "video_discriminator",
)
"""The six owners of weights; each has an optimiser of its own."""


class Networks(nn.Module):
    """E_c, G_c, E_m, G_m, D_I and D_V of one configuration.

    Args:
        config: shapes.
        num_classes: K, the classes that labels select from.
    """

    def __init__(self, config: ModelConfig, num_classes: int) -> None:
        super().__init__()
        table = ARCHITECTURES[config.architecture]
        self.config = config
        self.num_classes = num_classes
        self.content_encoder = ContentEncoder(config, table, num_classes)
        self.content_decoder = ContentDecoder(config, table, num_classes)
        self.motion_encoder = MotionEncoder(config, table, num_classes)
        self.motion_decoder = MotionDecoder(config, table, num_classes)
        self.image_discriminator = ImageDiscriminator(table.image_discriminator)
        self.video_discriminator = VideoDiscriminator(1 + num_classes, table.video_discriminator)
        initialise(self, config.init)
        if config.kernel_init == "identity":
            start_kernels_as_identity(self)

    def one_hot(self, labels: Tensor) -> Tensor:
        """Encode labels (B,) int64 as e_y (B, K) float32."""
        # F.one_hot would have the host look at the labels, and a GPU wait for it.
        return (labels[:, None] == torch.arange(self.num_classes, device=labels.device)).float()

    def content(self, frames: Tensor, onehot: Tensor) -> Content:
        """Compute what the frames (B, 3, 64, 64) show, by the mean of z_c."""
        return self.content_of(self.content_encoder.mean_only(frames, onehot), onehot)

    def content_of(self, z_c: Tensor, onehot: Tensor) -> Content:
        """Compute the content that a latent z_c (B, content_dim) stands for."""
        hidden = self.content_decoder.content_hidden(z_c, onehot)
        return Content(self, hidden, self.content_decoder.content_map(hidden))

    def scale_targets(self, content: Content) -> list[Tensor]:
        """Compute the content stream's own maps at the fused scales below 64 pixels: targets of the scale features."""
        first = self.motion_decoder.first_scale
        maps: list[Tensor] = []

        def keep(scale: int, features: Tensor) -> Tensor:
            if scale >= first:
                maps.append(full(features))
            return features

        if first < 3:
            self.content_decoder.render(content.map, keep, stages=3)
        return maps

    def next_frame(
        self,
        content: Content,
        z_m: Tensor,
        state: LstmState,
        onehot: Tensor,
        joint_weight: GatheredWeight | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Generate the frame after the given content by a motion latent z_m (B, motion_dim); see `frame_of`."""
        return self.frame_of(content, self.motion_decoder.latent_map(z_m, onehot), state, joint_weight)

    def frame_of(
        self,
        content: Content,
        latent_map: Tensor,
        state: LstmState,
        joint_weight: GatheredWeight | None = None,
        apart: Apart | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Generate the frame after the one whose content is given.

        Args:
            content: of the previous frame.
            latent_map: of the motion, (B, C, 8, 8).
            state: of the LSTM, after the history; the state that the latent map would leave is dropped.
            joint_weight: of the joint layer, where a step makes many frames.
            apart: the batches that these are.

        Returns:
            The frame (B, 3, 64, 64) float32, and the fused maps at the fused scales below 64 pixels.
        """
        decoder = self.motion_decoder
        motion, _ = decoder.lstm(latent_map, state)
        if decoder.joint is not None:
            motion = decoder.joint(motion, content.hidden, content.contracted, joint_weight)
        kernels = decoder.kernels(motion, apart)
        fused: list[Tensor] = []

        def fuse_scale(scale: int, features: Tensor) -> Tensor:
            if scale not in kernels:
                return features
            result = fuse(features, *kernels[scale])
            if scale < 3:
                fused.append(result)
            return result

        frame = self.content_decoder.render(content.map, fuse_scale)
        return full(frame), fused

    def advance(self, difference_map: Tensor, state: LstmState | None) -> LstmState:
        """Compute the LSTM's state after one more difference map (B, C, 8, 8); None is the empty history."""
        lstm = self.motion_decoder.lstm
        return lstm(difference_map, lstm.start(difference_map) if state is None else state)

    def no_history(self, batch: int, device: torch.device) -> LstmState:
        """Make the LSTM's state before any difference."""
        channels, height, width = self.motion_decoder.shape
        return self.motion_decoder.lstm.start(
            torch.zeros(batch, height, width, channels, device=device).permute(0, 3, 1, 2)
        )


class Content:
    """The content of a batch of frames: content_hidden (B, 32 ngf) and the content map (B, ngf, 8, 8)."""

    def __init__(self, networks: Networks, hidden: Tensor, content_map: Tensor) -> None:
        self.hidden = hidden
        self.map = content_map
        self.contracted: Tensor | None = None
        self._networks = networks

    def split(self, batch: int) -> list[Content]:
        """Cut this content into batches of `batch` rows."""
        pairs = zip(self.hidden.split(batch), self.map.split(batch), strict=True)
        return [Content(self._networks, hidden, content_map) for hidden, content_map in pairs]

    def rows(self, which: slice) -> Content:
        """Select the content of some of the frames."""
        return Content(self._networks, self.hidden[which], self.map[which])

    def times(self, count: int) -> Content:
        """Repeat this content for so many batches of motions, one behind the other; what is contracted serves all."""
        if count == 1:
            return self
        repeated = Content(self._networks, self.hidden.repeat(count, 1), torch.cat([self.map] * count))
        repeated.contracted = self.contracted
        return repeated

    def with_tensors(self, hidden: Tensor, content_map: Tensor) -> Content:
        """Make a content of the same networks."""
        return Content(self._networks, hidden, content_map)

    @staticmethod
    def contract(contents: Sequence[Content]) -> None:
        """Contract the joint layer's weights with all of `contents` at once: each goes with several motions."""
        if not contents or (joint := contents[0]._networks.motion_decoder.joint) is None:
            return
        contracted = joint.contract(torch.cat([content.hidden for content in contents]))
        parts = contracted.split([len(content.hidden) for content in contents], dim=1)
        for content, part in zip(contents, parts, strict=True):
            content.contracted = part


def difference(frames: Tensor, following: Tensor) -> Tensor:
    """Compute d_t = (x_t - x_{t+1}) / 2."""
    return (frames - following) / 2
