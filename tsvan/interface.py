"""What a model is to the rest: the loop, checkpoints, sampling, scoring and studies know it as this and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pkgutil import resolve_name
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tsvan.data.batches import Batch
from tsvan.data.store import ClipStore
from tsvan.graphs import HostDraws
from tsvan.random_draws import Draws
from tsvan.registry import MODELS
from tsvan.run_config import TrainConfig
from tsvan.step_result import Step


@dataclass(frozen=True)
class Part:
    """One step of an iteration, with the update that follows it.

    Args:
        kind: of the step: the name before its logged values, and one of those that a captured graph goes by.
        step: computes gradients on the batch.
        batch: what it is given.
        scalars: weights that change from iteration to iteration, by name; they reach `step`.
        scheduled: what the schedules say of this iteration, to log.
        host: what the step will have the host draw, in the order in which it would: each outcome is another graph.
    """

    kind: str
    step: Step
    batch: Batch
    scalars: Mapping[str, float] = field(default_factory=dict)
    scheduled: Mapping[str, float] = field(default_factory=dict)
    host: Callable[[Draws], HostDraws] = lambda draws: HostDraws()


@dataclass(frozen=True)
class ReconstructionErrors:
    """Mean squared errors on held-out windows, frames in [-1, 1].

    Args:
        content: each frame by the content stream alone, from the mean of z_c.
        sequence: frames 1.. of each clip, generated one from the other after the reconstruction of frame 0, with the
            posterior means of z_m.
        mean_frame: every frame replaced by the mean training frame: what a run that learnt nothing would get.
        num_clips: windows compared.
    """

    content: float
    sequence: float
    mean_frame: float
    num_clips: int


class Training(Protocol):
    """What one run does, iteration by iteration."""

    @property
    def notes(self) -> Sequence[str]:
        """List what the user is to know of the data that the run trains on, a line each."""

    def parts(self, iteration: int) -> Iterable[Part]:
        """Yield the steps of an iteration, from 1 over the whole run; each is taken before the next is asked for.

        It is a pure function of seed and iteration, so that a resumed run does what the unbroken one would have done.
        """


class Model(Protocol):
    """How one kind of model is built, trained and sampled."""

    @property
    def networks_class(self) -> type[nn.Module]:
        """Return the class of what `networks` makes."""

    @property
    def owners(self) -> tuple[str, ...]:
        """Name the networks' attributes that own weights; each gets an optimiser, and gradients come by their names."""

    def networks(self, config: TrainConfig, num_classes: int) -> nn.Module:
        """Build the networks at their initial weights, from PyTorch's global generator, which the caller has seeded."""

    def training(self, config: TrainConfig, networks: Any, store: ClipStore, device: torch.device) -> Training:
        """Start a run on networks that are on the device.

        Raises:
            UserError: the store has no clip that can be trained on.
        """

    def sample(self, networks: Any, seeds: NDArray[np.int64], labels: Tensor, num_frames: int) -> Tensor:
        """Generate clips from latents; the networks are in evaluation mode, and no gradients are wanted.

        A clip depends on its own seed and label alone, and a shorter one is the beginning of a longer one.

        Args:
            seeds: (N,).
            labels: (N,), on the networks' device.

        Returns:
            (N, 3, num_frames, 64, 64) float32.
        """

    def bytes_a_clip(self, networks: Any, num_frames: int) -> int:
        """Estimate the memory that sampling takes for each clip of a batch."""

    def gflop(self, config: TrainConfig) -> float:
        """Estimate the work of a whole training run, forward and backward, in GFLOP."""

    def reconstruction(self, networks: Any, store: ClipStore, device: torch.device) -> ReconstructionErrors | None:
        """Measure how well held-out clips are rebuilt; None: the model has no encoder."""

    def motion_masks(
        self, networks: Any, seeds: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> tuple[Tensor, dict[int, Tensor]] | None:
        """Generate clips, and masks by scale of where they move (see `tsvan.masks`); None: the model has no masks."""


def implementation(name: str) -> Model:
    """Return the implementation of the model of that name: how it is built, trained and sampled."""
    found: Model = resolve_name(MODELS[name].implementation)
    return found


def implementation_of(networks: nn.Module) -> Model:
    """Return the implementation of the model that the networks belong to."""
    for name in MODELS:
        if isinstance(networks, (model := implementation(name)).networks_class):
            return model
    raise TypeError(f"networks of no known model: {type(networks).__name__}")
