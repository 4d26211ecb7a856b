"""MoCoGAN as the rest sees a model: what an iteration of it does, and how it makes clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.data.batches import Batch, Batches
from tsvan.data.datasets import span
from tsvan.data.store import ClipStore
from tsvan.interface import Model, Part
from tsvan.mocogan import cost, steps
from tsvan.mocogan.config import MocoganConfig
from tsvan.mocogan.latents import of_seeds
from tsvan.mocogan.networks import OWNERS, MocoganNetworks
from tsvan.run_config import TrainConfig
from tsvan.step_result import StepResult


class MocoganTraining:
    """Three updates an iteration: D_I on frames, D_V on clips, the generator on fakes of both kinds."""

    def __init__(
        self, config: MocoganConfig, networks: MocoganNetworks, store: ClipStore, device: torch.device
    ) -> None:
        size = config.optimiser.batch_size
        self.batches = Batches(store, config.data, size, config.seed, device, leave_out_short=True)
        self.frames = self.batches.single_frames()
        self.notes = _notes(self.batches, store)
        self._config, self._networks = config, networks

    def parts(self, iteration: int) -> Iterator[Part]:
        """Yield the three steps of an iteration."""
        clips = self.batches.at(iteration)
        images = partial(steps.image_step, num_frames=self._config.data.num_frames)
        yield self._part("images", images, self.frames.at(iteration))
        yield self._part("clips", steps.clip_step, clips)
        yield self._part("generator", steps.generator_step, clips)

    def _part(self, kind: str, function: Callable[..., StepResult], batch: Batch) -> Part:
        def step(*inputs: object) -> StepResult:
            return function(self._networks, *inputs, self._config.loss)

        return Part(kind, step, batch)


def _notes(batches: Batches, store: ClipStore) -> tuple[str, ...]:
    """Say which clips are too short, at all or at their playback step, and which classes nobody learns then."""
    notes, frames = [], batches.num_frames
    if batches.left_out:
        files = ", ".join(sorted(clip.source for clip in batches.left_out))
        notes.append(f"left out: {len(batches.left_out)} clips shorter than {frames} frames: {files}")
    slowed = [clip.source for clip in batches.clips if span(frames, clip.frame_step) > clip.num_frames]
    if slowed:
        files = ", ".join(sorted(slowed))
        notes.append(f"playback step 1 for {len(slowed)} clips too short for {frames} frames at their own: {files}")
    unseen = set(range(len(store.classes))) - {clip.label for clip in batches.clips}
    if unseen:
        names = ", ".join(store.classes[label] for label in sorted(unseen))
        notes.append(f"no clip of these classes is trained on: {names}")
    return tuple(notes)


class Mocogan:
    """A generator with a recurrent motion latent, D_I and D_V."""

    networks_class = MocoganNetworks
    owners = OWNERS

    def networks(self, config: TrainConfig, num_classes: int) -> MocoganNetworks:
        """Build the networks at their initial weights."""
        return MocoganNetworks(config.model, num_classes)

    def training(
        self, config: TrainConfig, networks: MocoganNetworks, store: ClipStore, device: torch.device
    ) -> MocoganTraining:
        """Start a run on networks that are on the device."""
        assert isinstance(config, MocoganConfig)
        return MocoganTraining(config, networks, store, device)

    def sample(self, networks: MocoganNetworks, seeds: NDArray[np.int64], labels: Tensor, num_frames: int) -> Tensor:
        """Generate clips (N, 3, num_frames, 64, 64): the first frames of what longer ones would be; no heat-up."""
        return of_seeds(networks, seeds, labels, num_frames).clips(networks.generator)

    def bytes_a_clip(self, networks: MocoganNetworks, num_frames: int) -> int:
        """Estimate the memory of the maps of a clip's frames, which are all made at once."""
        return num_frames * cost.live_bytes_a_frame(networks.config)

    def gflop(self, config: TrainConfig) -> float:
        """Estimate the GFLOP of a whole run."""
        assert isinstance(config, MocoganConfig)
        return cost.gflop(config)

    def reconstruction(self, networks: MocoganNetworks, store: ClipStore, device: torch.device) -> None:
        """Return None: MoCoGAN has no encoder."""

    def motion_masks(
        self, networks: MocoganNetworks, seeds: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> None:
        """Return None: MoCoGAN has no masks."""


MODEL: Model = Mocogan()
