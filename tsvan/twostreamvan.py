"""TwoStreamVAN as the rest sees a model: what an iteration of it does, and how it makes clips."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan import schedules, steps
from tsvan.config import TwoStreamConfig
from tsvan.data.batches import Batches
from tsvan.data.store import ClipStore
from tsvan.graphs import HostDraws
from tsvan.interface import Model, Part, ReconstructionErrors
from tsvan.masks import motion_masks
from tsvan.models.networks import OWNERS, Networks
from tsvan.reconstruction import reconstruction_errors
from tsvan.roll_out import HEAT_UP, latents, roll_out
from tsvan.run_config import TrainConfig
from tsvan.step_result import Step, StepResult

_LIVE_MAPS = 6  # maps of ngf + 64 channels at 64 x 64 that live at once, a clip; half as many were seen on a CPU
# Work of one clip in a training step at ngf 16, GFLOP forward and backward, counted on the layer tables; the shares
# of the steps follow from the schedule. The motion stream does not grow with ngf, the content stream with its square.
_SEQUENCE, _ONE_STEP, _CONTENT = 75.0, 9.0, 1.5

_STEPS: dict[str, Step] = {
    "pretrain": steps.pretrain_step,
    "content": steps.content_step,
    "one_step": steps.one_step,
    "sequence": steps.sequence_step,
}


class TwoStreamTraining:
    """P iterations of content pre-training, then N of the joint phase, one step each."""

    notes = ()

    def __init__(self, config: TwoStreamConfig, networks: Networks, store: ClipStore, device: torch.device) -> None:
        self.batches = Batches(store, config.data, config.optimiser.batch_size, config.seed, device)
        self.plan = schedules.step_plan(config.seed, config.schedule)
        self._config, self._networks = config, networks

    def parts(self, iteration: int) -> Iterator[Part]:
        """Yield the one step of an iteration: its kind, and what the schedules say of it."""
        schedule, loss = self._config.schedule, self._config.loss
        i = iteration - schedule.pretrain_iterations
        if i <= 0:
            lambda2 = schedules.pretrain_lambda2(iteration, schedule, loss)
            yield self._part("pretrain", iteration, {"kl_weight": lambda2}, {"lambda2": lambda2})
            return
        kind = schedules.KINDS[self.plan[i - 1]]
        if kind != "sequence":
            yield self._part(kind, iteration, {}, {})
            return
        epsilon, lambda5 = schedules.teacher_share(i, schedule), schedules.lambda5(i, schedule, loss)
        scheduled = {"epsilon": epsilon, "lambda5": lambda5}
        yield self._part(kind, iteration, {"kl_weight": lambda5}, scheduled, epsilon)

    def _part(
        self,
        kind: str,
        iteration: int,
        scalars: dict[str, float],
        scheduled: dict[str, float],
        epsilon: float | None = None,
    ) -> Part:
        batch, loss = self.batches.at(iteration), self._config.loss
        function = _STEPS[kind] if epsilon is None else partial(_STEPS[kind], epsilon=epsilon)

        def step(*inputs: object, **weights: object) -> StepResult:
            return function(self._networks, *inputs, loss, **weights)

        frames, share = batch.clips.shape[2], 1.0 if epsilon is None else epsilon
        return Part(kind, step, batch, scalars, scheduled, lambda draws: HostDraws.of(kind, draws, frames, share))


class TwoStreamVan:
    """E_c, G_c, E_m, G_m, D_I and D_V, trained by turns."""

    networks_class = Networks
    owners = OWNERS

    def networks(self, config: TrainConfig, num_classes: int) -> Networks:
        """Build the networks at their initial weights."""
        return Networks(config.model, num_classes)

    def training(
        self, config: TrainConfig, networks: Networks, store: ClipStore, device: torch.device
    ) -> TwoStreamTraining:
        """Start a run on networks that are on the device."""
        assert isinstance(config, TwoStreamConfig)
        return TwoStreamTraining(config, networks, store, device)

    def sample(self, networks: Networks, seeds: NDArray[np.int64], labels: Tensor, num_frames: int) -> Tensor:
        """Generate clips (N, 3, num_frames, 64, 64), taken after the heat-up."""
        config, weight = networks.config, next(networks.parameters())
        z_c, z_m = latents(seeds, config.content_dim, config.motion_dim, num_frames + HEAT_UP - 1)
        return roll_out(networks, z_c.to(weight), z_m.to(weight), networks.one_hot(labels))[:, :, HEAT_UP:]

    def bytes_a_clip(self, networks: Networks, num_frames: int) -> int:
        """Estimate the memory of the maps that live at once for a frame; frames themselves are little beside them."""
        return _LIVE_MAPS * 4 * 64 * 64 * (networks.config.ngf + 64)

    def gflop(self, config: TrainConfig) -> float:
        """Estimate the GFLOP of a whole run, from the expected shares of the steps."""
        assert isinstance(config, TwoStreamConfig)
        schedule, wide = config.schedule, (config.model.ngf / 16) ** 2
        start, end = schedule.sequence_share_start, schedule.sequence_share_end
        sequence = schedule.ramp_start * (start + end) / 2 + (1 - schedule.ramp_start) * end
        motion = 1 - schedule.content_share
        grown = 0.7 + 0.3 * wide  # the share of a motion step that runs through the content stream
        motion_step = (sequence * _SEQUENCE + (1 - sequence) * _ONE_STEP) * grown
        joint = schedule.iterations * (motion * motion_step + schedule.content_share * _CONTENT * wide)
        return (joint + schedule.pretrain_iterations * _CONTENT * wide) * config.optimiser.batch_size

    def reconstruction(self, networks: Networks, store: ClipStore, device: torch.device) -> ReconstructionErrors:
        """Measure the mean squared errors on held-out windows."""
        return reconstruction_errors(networks, store, device)

    def motion_masks(
        self, networks: Networks, seeds: NDArray[np.int64], labels: NDArray[np.int64]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Generate clips, and the masks that their frames were made with."""
        return motion_masks(networks, seeds, labels)


MODEL: Model = TwoStreamVan()
