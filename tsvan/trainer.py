"""The training loop: phase, batch, step, updates; logging and checkpoints at the edges."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from tsvan import checkpoint as checkpoints
from tsvan import schedules, steps
from tsvan.checkpoint import Checkpoint
from tsvan.config import TrainConfig
from tsvan.data.batches import Batches
from tsvan.data.store import ClipStore
from tsvan.draws import Draws
from tsvan.memory import keep_freed_memory
from tsvan.models.networks import OWNERS, Networks
from tsvan.strict import UserError

_log = logging.getLogger(__name__)


class Diverged(Exception):
    """A loss is not finite: a result with a reason, not a bug.

    Args:
        iteration: at which it was noticed.
        reason: which loss.
    """

    def __init__(self, iteration: int, reason: str) -> None:
        super().__init__(f"diverged at iteration {iteration}: {reason}")
        self.iteration = iteration
        self.reason = reason


@dataclass(frozen=True)
class Record:
    """Values since the last record, averaged by name: `<step kind>/<value>`, schedules, and the rate."""

    iteration: int
    values: dict[str, float]


class Trainer:
    """One training run, whole or continued.

    Iterations count from 1 over the whole run: first P of content pre-training, then N of the joint phase.
    """

    def __init__(
        self,
        config: TrainConfig,
        store: ClipStore,
        folder: Path,
        device: torch.device,
        start: Checkpoint | None,
        log_every: int,
    ) -> None:
        self.config = config
        self.device = device
        if device.type == "cpu":
            keep_freed_memory()
        self.folder = folder
        self.classes = store.classes
        self.store = store
        self.iteration = start.iteration if start else 0
        self.networks = _initial_networks(config, len(store.classes))
        if start:
            self.networks.load_state_dict(start.networks)
        self.networks.to(device).train()
        self.optimisers = {owner: _adam(self.networks, owner, config) for owner in OWNERS}
        if start and start.optimisers:
            for owner, optimiser in self.optimisers.items():
                optimiser.load_state_dict(start.optimisers[owner])
        self._batches = Batches(store, config.data, config.optimiser.batch_size, config.seed, device)
        self._plan = schedules.step_plan(config.seed, config.schedule)
        self._log_every = log_every
        self._sums: dict[str, Tensor | float] = {}
        self._counts: dict[str, int] = {}
        self._since = time.perf_counter(), self.iteration

    @classmethod
    def open(
        cls,
        config: TrainConfig,
        store: ClipStore,
        folder: Path,
        device: str = "auto",
        note: Callable[[str], None] = _log.warning,
        log_every: int = 10,
    ) -> Trainer:
        """Start a run in `folder`, or go on from its newest good checkpoint.

        Args:
            note: told, in one line each, about going on and about damaged checkpoints.
            log_every: iterations between records.

        Raises:
            UserError: the folder holds another run, or none of its checkpoints can be read.
        """
        start = checkpoints.newest(folder / "checkpoints", note)
        if start is not None:
            _check_same_run(start, config, store, folder)
            if not start.optimisers and start.iteration < config.schedule.total:
                raise UserError(f"{folder} was kept for sampling, without optimiser states; train in another folder")
            note(f"going on from iteration {start.iteration} in {folder}")
        return cls(config, store, folder, pick_device(device), start, log_every)

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.classes)

    def run(self, until: int, stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """Train up to iteration `until`; a record every `log_every` iterations and at the end.

        Args:
            stop: asked after every iteration; True ends the run there, between two iterations.

        Raises:
            Diverged: a loss is not finite.
        """
        self._since = time.perf_counter(), self.iteration
        stopped = False
        while self.iteration < until and not stopped:
            self.iteration += 1
            self._step()
            stopped = stop()
            if self.iteration % self._log_every == 0 or self.iteration == until or stopped:
                yield self._record()

    def save(self) -> Path:
        """Write a checkpoint of this moment; the last two are kept.

        Raises:
            Diverged: a loss since the last record, or a weight, is not finite.
        """
        self._check_finite({name: float(value) for name, value in self._sums.items()})
        self._check_finite({name: float(weight.detach().sum()) for name, weight in self.networks.named_parameters()})
        return checkpoints.save(self.snapshot(), self.folder / "checkpoints")

    def snapshot(self) -> Checkpoint:
        """All that it takes to go on from here; it shares its tensors with the run."""
        return Checkpoint(
            self.config,
            self.iteration,
            self.classes,
            self.store.content_hash,
            str(self.store.path.resolve()),
            self.networks.state_dict(),
            {owner: optimiser.state_dict() for owner, optimiser in self.optimisers.items()},
        )

    def _step(self) -> None:
        config, schedule = self.config, self.config.schedule
        batch = self._batches.at(self.iteration)
        draws = Draws(config.seed, self.iteration, self.device)
        inputs = self.networks, batch.clips, batch.labels, draws, config.loss
        i = self.iteration - schedule.pretrain_iterations
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            if i <= 0:
                kind = "pretrain"
                kl_weight = schedules.pretrain_lambda2(self.iteration, schedule, config.loss)
                result = steps.pretrain_step(*inputs, kl_weight=kl_weight)
                self._add("schedule/lambda2", kl_weight)
            else:
                kind = schedules.KINDS[self._plan[i - 1]]
                if kind == "content":
                    result = steps.content_step(*inputs)
                elif kind == "one_step":
                    result = steps.one_step(*inputs)
                else:
                    epsilon = schedules.teacher_share(i, schedule)
                    kl_weight = schedules.lambda5(i, schedule, config.loss)
                    result = steps.sequence_step(*inputs, epsilon=epsilon, kl_weight=kl_weight)
                    self._add("schedule/epsilon", epsilon)
                    self._add("schedule/lambda5", kl_weight)
        for name, value in result.values.items():
            self._add(f"{kind}/{name}", value)
        self._update(result.gradients)

    def _update(self, gradients: steps.Gradients) -> None:
        for owner, values in gradients.items():
            parameters = getattr(self.networks, owner).parameters()
            for parameter, gradient in zip(parameters, values, strict=True):
                # Fused Adam reads a gradient of other strides than its weight's in the wrong order, without a word.
                parameter.grad = None if gradient is None else gradient.contiguous()
            self.optimisers[owner].step()
            self.optimisers[owner].zero_grad(set_to_none=True)

    def _add(self, name: str, value: Tensor | float) -> None:
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0) + 1

    def _record(self) -> Record:
        values = {name: float(total) / self._counts[name] for name, total in self._sums.items()}
        self._sums.clear()
        self._counts.clear()
        self._check_finite(values)
        now, (then, done) = time.perf_counter(), self._since
        values["rate/iterations_per_s"] = (self.iteration - done) / max(now - then, 1e-9)
        self._since = now, self.iteration
        return Record(self.iteration, values)

    def _check_finite(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise Diverged(self.iteration, f"{name} is {value}")


def pick_device(name: str) -> torch.device:
    """`auto`: CUDA where there is one, else the CPU. Raises UserError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device: unknown device '{name}'; use auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device: '{name}' is not supported; use auto, cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device: no '{name}' here, of CUDA devices there are {torch.cuda.device_count()}; use cpu")
    return device


def _initial_networks(config: TrainConfig, num_classes: int) -> Networks:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Networks(config.model, num_classes)


def _adam(networks: Networks, owner: str, config: TrainConfig) -> torch.optim.Adam:
    settings = config.optimiser
    return torch.optim.Adam(
        getattr(networks, owner).parameters(),
        lr=settings.lr,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=True,
    )


def _check_same_run(start: Checkpoint, config: TrainConfig, store: ClipStore, folder: Path) -> None:
    if start.store_hash != store.content_hash:
        raise UserError(f"{folder} was trained on another clip store than {store.path}; give that or another folder")
    if start.config != config:
        old, new = _flat(start.config), _flat(config)
        changed = ", ".join(f"{key} was {old[key]}, is {new[key]}" for key in new if old[key] != new[key])
        raise UserError(f"{folder} holds a run with other settings ({changed}); give another folder or those settings")


def _flat(config: TrainConfig) -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in config.to_dict().items():
        flat.update(value if isinstance(value, dict) else {key: value})
    return flat
