"""MoCoGAN's generator: a recurrent motion latent, and a frame from each of its states."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tsvan.models.precision import full
from tsvan.models.stack import Stack


class Generator(nn.Module):
    """MoCoGAN's generator: latents -> frames, each for itself.

    Args:
        content_dim: dimension of z_c.
        motion_dim: dimension of h_t and e_t.
        ngf: base width.
        num_classes: K; at K = 1 there is no category code.
    """

    def __init__(self, content_dim: int, motion_dim: int, ngf: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.recurrent = nn.GRUCell(motion_dim, motion_dim)
        categories = num_classes if num_classes > 1 else 0
        self.layers = Stack(
            *_block(content_dim + categories + motion_dim, 8 * ngf, stride=1, padding=0),  # 1 -> 4 pixels
            *_block(8 * ngf, 4 * ngf),
            *_block(4 * ngf, 2 * ngf),
            *_block(2 * ngf, ngf),
            nn.ConvTranspose2d(ngf, 3, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def motion(self, start: Tensor, noise: Tensor) -> Tensor:
        """Compute the motion latents h_t = GRUCell(e_t, h_{t-1}).

        Args:
            start: h_0, (B, motion_dim).
            noise: e_1..e_T, (B, T, motion_dim).

        Returns:
            h_1..h_T, (B, T, motion_dim) float32.
        """
        state, states = start, []
        with torch.autocast(start.device.type, enabled=False):  # tiny, and its state would lose bits at each step
            for step in noise.unbind(dim=1):
                state = self.recurrent(step, state)
                states.append(state)
        return torch.stack(states, dim=1)

    def frames(self, content: Tensor, labels: Tensor, motion: Tensor) -> Tensor:
        """Generate frames (B, 3, 64, 64) float32 in [-1, 1].

        Args:
            content: z_c, (B, content_dim).
            labels: (B,) int64.
            motion: z_m, (B, motion_dim).
        """
        parts = [content, motion] if self.num_classes == 1 else [content, self._one_hot(labels), motion]
        return full(self.layers(torch.cat(parts, dim=1)[:, :, None, None]))

    def clips(self, content: Tensor, labels: Tensor, motion: Tensor) -> Tensor:
        """Generate clips (B, 3, T, 64, 64), channels last; all their frames pass the batch norms as one batch.

        Args:
            content: z_c, (B, content_dim).
            labels: (B,) int64.
            motion: z_m of every frame, (B, T, motion_dim).
        """
        batch, count = motion.shape[:2]
        frames = self.frames(
            content.repeat_interleave(count, dim=0), labels.repeat_interleave(count), motion.flatten(0, 1)
        )  # (B T, 3, 64, 64)
        return frames.permute(0, 2, 3, 1).unflatten(0, (batch, count)).permute(0, 4, 1, 2, 3)

    def _one_hot(self, labels: Tensor) -> Tensor:
        # F.one_hot would have the host look at the labels, and a GPU wait for it.
        return (labels[:, None] == torch.arange(self.num_classes, device=labels.device)).float()


def _block(channels: int, width: int, stride: int = 2, padding: int = 1) -> list[nn.Module]:
    return [
        nn.ConvTranspose2d(channels, width, 4, stride, padding, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
