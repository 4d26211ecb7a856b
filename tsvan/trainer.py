"""The training loop of every model: batch, step, update; logging and checkpoints at the edges."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tsvan import checkpoint as checkpoints
from tsvan.checkpoint import Checkpoint
from tsvan.data.store import ClipStore
from tsvan.graphs import Graphs
from tsvan.interface import Model, implementation
from tsvan.memory import keep_freed_memory
from tsvan.models.layout import channels_last
from tsvan.models.precision import choose_quickest_on_cuda
from tsvan.optimisers import make_capturable, optimisers_of, restore, update
from tsvan.random_draws import Draws
from tsvan.run_config import TrainConfig
from tsvan.step_result import Step, StepResult
from tsvan.validation import UserError, flatten

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

    Iterations count from 1 over the whole run.
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
        model = implementation(config.model_name)
        self.networks = _initial(model, config, len(store.classes))
        if start:
            self.networks.load_state_dict(start.networks)
        channels_last(self.networks.to(device).train())
        if device.type == "cuda":
            choose_quickest_on_cuda()
        self.optimisers = optimisers_of(self.networks, model.owners, config.optimiser)
        if start and start.optimisers:
            for owner, optimiser in self.optimisers.items():
                restore(optimiser, start.optimisers[owner])
        self._update = partial(update, self.networks, self.optimisers)
        self._graphs = None
        if device.type == "cuda":
            for optimiser in self.optimisers.values():
                make_capturable(optimiser)
            self._graphs = Graphs(self.networks, device, self._update)
        self.training = model.training(config, self.networks, store, device)
        self._log_every = log_every
        self._sums: dict[tuple[str, ...], Tensor | float] = {}
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
        trainer = cls(config, store, folder, pick_device(device), start, log_every)
        for line in trainer.training.notes:
            note(line)
        return trainer

    @property
    def num_classes(self) -> int:
        """Return K, the number of classes."""
        return len(self.classes)

    def run(self, until: int, stop: Callable[[], bool] = lambda: False) -> Iterator[Record]:
        """Train up to iteration `until`; yield a record every `log_every` iterations and at the end.

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
        self._check_finite(self._totals())
        self._check_finite({name: float(weight.detach().sum()) for name, weight in self.networks.named_parameters()})
        return checkpoints.save(self.snapshot(), self.folder / "checkpoints")

    def snapshot(self) -> Checkpoint:
        """Gather all that it takes to go on from here; it shares its tensors with the run."""
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
        """Take one iteration: its steps in turn, each with its update."""
        for number, part in enumerate(self.training.parts(self.iteration)):
            for name, scheduled in part.scheduled.items():
                self._add((f"schedule/{name}",), scheduled)
            draw = partial(Draws, self.config.seed, self.iteration, self.device, number)
            if self._graphs is not None:
                step = self._in_precision(part.step)
                host = part.host(draw())
                names, values = self._graphs(part.kind, step, *part.batch, draw, host, part.scalars)
                self._add(tuple(f"{part.kind}/{name}" for name in names), values)
                continue
            result = self._in_precision(part.step)(*part.batch, draw(), **part.scalars)
            for name, value in result.values.items():
                self._add((f"{part.kind}/{name}",), value)
            self._update(result)

    def _in_precision(self, step: Step) -> Step:
        """Wrap the step so that it runs in this run's precision."""

        def run(clips: Tensor, labels: Tensor, draws: Draws, **scalars: Any) -> StepResult:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                return step(clips, labels, draws, **scalars)

        return run

    def _add(self, names: tuple[str, ...], values: Tensor | float) -> None:
        """Add one value (), or one for each name (n,)."""
        self._sums[names] = self._sums.get(names, 0.0) + values
        for name in names:
            self._counts[name] = self._counts.get(name, 0) + 1

    def _record(self) -> Record:
        values = {name: total / self._counts[name] for name, total in self._totals().items()}
        self._sums.clear()
        self._counts.clear()
        self._check_finite(values)
        now, (then, done) = time.perf_counter(), self._since
        values["rate/iterations_per_s"] = (self.iteration - done) / max(now - then, 1e-9)
        self._since = now, self.iteration
        return Record(self.iteration, values)

    def _totals(self) -> dict[str, float]:
        """Read the sums since the last record at once: a GPU is waited for a single time."""
        on_device = [total.reshape(-1) for total in self._sums.values() if isinstance(total, Tensor)]
        read = iter(torch.cat(on_device).tolist() if on_device else [])
        return {
            name: next(read) if isinstance(total, Tensor) else total
            for names, total in self._sums.items()
            for name in names
        }

    def _check_finite(self, values: dict[str, float]) -> None:
        for name, value in values.items():
            if not math.isfinite(value):
                raise Diverged(self.iteration, f"{name} is {value}")


def pick_device(name: str) -> torch.device:
    """Return the device of that name.

    A CUDA device's work goes to it from then on: graphs and Triton's kernels ask for no other.

    Args:
        name: `cpu`, `cuda`, `cuda:1`; `auto`: CUDA where there is one, else the CPU.

    Returns:
        `cpu`, or a CUDA device with its index; it is the process's current one from here on.

    Raises:
        UserError: it is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device: unknown device '{name}'; use auto, cpu or cuda") from None
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device: '{name}' is not supported; use auto, cpu or cuda")
    if device.type == "cpu":
        return device
    index, count = device.index or 0, torch.cuda.device_count()
    if index >= count:
        raise UserError(f"--device: no '{name}' here, of CUDA devices there are {count}; use cpu")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _initial(model: Model, config: TrainConfig, num_classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return model.networks(config, num_classes)


def _check_same_run(start: Checkpoint, config: TrainConfig, store: ClipStore, folder: Path) -> None:
    if start.store_hash != store.content_hash:
        raise UserError(f"{folder} was trained on another clip store than {store.path}; give that or another folder")
    if start.config.model_name != config.model_name:
        raise UserError(f"{folder} holds a run of {start.config.title}, not of {config.title}; give another folder")
    if start.config != config:
        old, new = flatten(start.config.to_dict()), flatten(config.to_dict())
        changed = ", ".join(
            f"{key.split('.')[-1]} was {old[key]}, is {new[key]}" for key in new if old[key] != new[key]
        )
        raise UserError(f"{folder} holds a run with other settings ({changed}); give another folder or those settings")
