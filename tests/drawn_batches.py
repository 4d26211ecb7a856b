"""Batches drawn from a seed, and a config whose inputs are all real."""

import torch
import torch.nn.functional as F

from tsvan.data.batches import Batch

# Roll-outs on their own frames amplify rounding at first, so what compares numbers stays where real frames are given.
TEACHER_FORCED = {"iterations": 1000, "sequence_share_start": 0.5}


class DrawnBatches:
    """Clips of smooth noise, by iteration: no dataset's change can touch them."""

    def __init__(self, device="cpu"):
        self.device = device

    def at(self, iteration):
        generator = torch.Generator().manual_seed(iteration)
        coarse = torch.rand(2, 3, 10, 8, 8, generator=generator) * 2 - 1
        clips = F.interpolate(coarse, size=(10, 64, 64), mode="trilinear")
        return Batch(clips.to(self.device), torch.tensor([iteration % 10, 3]).to(self.device))
