"""The motion masks M of each fused scale: where a generated clip moves (figure 1 of the supplement)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.models.networks import Networks
from tsvan.roll_out import HEAT_UP
from tsvan.sampling import generate

SCALE_PIXELS = (8, 16, 32, 64)


def motion_masks(
    networks: Networks, seeds: NDArray[np.int64], labels: NDArray[np.int64], *, num_frames: int = 10
) -> tuple[Tensor, dict[int, Tensor]]:
    """Generate clips and keep the masks that each of their frames was made with.

    Args:
        networks: with masks (`mask: true`); without, the dict is empty.
        seeds: (N,), one a clip.
        labels: (N,), in [0, K).

    Returns:
        The clips (N, 3, T, 64, 64) in [-1, 1], and pixels of a fused scale -> M (N, T, pixels, pixels) in (0, 1): 1
        where the adaptive convolution moves the content, 0 where the frame before is kept.
    """
    kept: dict[int, list[Tensor]] = {}

    def keep(pixels: int, outputs: tuple[Tensor, Tensor, Tensor | None]) -> None:
        if outputs[2] is not None:
            kept.setdefault(pixels, []).append(outputs[2][:, 0].float().cpu())

    hooks = [
        subnet.register_forward_hook(lambda _, __, outputs, pixels=SCALE_PIXELS[int(scale)]: keep(pixels, outputs))
        for scale, subnet in networks.motion_decoder.subnets.items()
    ]
    try:
        # All clips at once: what is kept is in the order of the frames.
        clips = torch.cat([*generate(networks, seeds, labels, num_frames=num_frames, batch_size=len(seeds))]).cpu()
    finally:
        for hook in hooks:
            hook.remove()
    # Step k makes frame k + 1, and the first HEAT_UP frames are dropped.
    return clips, {pixels: torch.stack(masks, dim=1)[:, HEAT_UP - 1 :] for pixels, masks in sorted(kept.items())}
