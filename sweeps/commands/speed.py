"""How long a training run takes on this device: measured with twenty iterations, or by counted operations."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from sweeps.config.schema import SweepConfig
from sweeps.config.space import largest
from sweeps.data import DataPlan
from tsvan.cost import train_gflop
from tsvan.data.standin.drawing import draw
from tsvan.data.store import INDEX, ClipStore
from tsvan.run_config import TrainConfig
from tsvan.sampling import generate
from tsvan.trainer import Diverged, Trainer
from tsvan.validation import UserError

NUM_ITERATIONS = 20
_PATIENCE_S = 10.0  # for the timed iterations of one setting
_FEWEST = 5
_CPU_BATCH = 2  # clips of a timed iteration on a CPU, whose time grows with them
_CORE_GFLOPS = 35.0  # of a CPU's core, where nothing is measured
_CLIP_GFLOP = 12.0  # of generating a clip


@dataclass(frozen=True)
class Speed:
    """The speed of a study's work, in seconds.

    Args:
        published_s, largest_s: of one training run with the published setting and with the largest of the space.
        clip_s: of generating one clip.
        source: how this is known, for people.
    """

    published_s: float
    largest_s: float
    clip_s: float
    source: str


def counted_speed(config: SweepConfig, cpus: int) -> Speed:
    """Estimate the speed from counted operations for a CPU of so many cores."""
    rate = _CORE_GFLOPS * cpus
    published, wide = train_gflop(config.base) / rate, train_gflop(largest(config)) / rate
    return Speed(published, wide, _CLIP_GFLOP / rate, "by counted operations, not measured")


def speed_here(config: SweepConfig, data: DataPlan | str) -> Speed | None:
    """Measure the speed of a study's work on this machine's device, the first GPU or the CPU.

    Args:
        data: where the clips come from; where there are none yet, stand-ins are drawn for the purpose.

    Returns:
        The speed; None: the largest setting does not fit, or no clips can be drawn.
    """
    device = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        there = isinstance(data, DataPlan) and data.store is not None and (data.store / INDEX).exists()
        store = ClipStore.open(data.store) if isinstance(data, DataPlan) and data.store and there else None
        return measured_speed(config, store, device)
    except (UserError, torch.OutOfMemoryError):
        return None


def measured_speed(config: SweepConfig, store: ClipStore | None, device: torch.device) -> Speed:
    """Measure iterations of the published setting and of the largest one of the space.

    Args:
        store: of the study; None: small stand-in clips are drawn for the purpose.
        device: whole; what else works on it is measured along.

    Raises:
        torch.OutOfMemoryError: the largest setting does not fit.
    """
    with TemporaryDirectory(prefix="tsvan-speed-") as folder:
        clips = store or draw(config.rules, Path(folder) / "store")
        published_s, count, clip_s = _measure(config.base, clips, Path(folder), device)
        wide = largest(config)
        largest_s, wide_clip_s = published_s, clip_s
        if wide.model != config.base.model:
            largest_s, more, wide_clip_s = _measure(wide, clips, Path(folder), device)
            count += more
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "this CPU as busy as it is"
    source = f"measured: {count} iterations of the published and the largest setting on {name}"
    return Speed(published_s, largest_s, (clip_s + wide_clip_s) / 2, source)


def _measure(train: TrainConfig, store: ClipStore, folder: Path, device: torch.device) -> tuple[float, int, float]:
    """Return seconds of a whole training run, how many iterations were timed, and seconds of generating a clip.

    The iterations are spread evenly over the run, so that each kind of step has its share; each is taken twice and
    timed the second time on a GPU, where the first one chooses algorithms and captures a graph.
    """
    cuda = device.type == "cuda"
    batch = train.optimiser.batch_size
    small = batch if cuda else min(batch, _CPU_BATCH)
    short = train.with_settings({"batch_size": small}, "the plan")
    trainer = Trainer.open(short, store, folder / "run", str(device))
    total, start = train.schedule.total, time.perf_counter()
    seconds: list[float] = []
    # Far from each other first: what time is left out is left out evenly.
    places = np.random.default_rng(0).permutation(NUM_ITERATIONS)
    _take(trainer, total)
    for place in places:
        if len(seconds) >= _FEWEST and time.perf_counter() - start > _PATIENCE_S:
            break
        iteration = 1 + int((place + 0.5) * total / NUM_ITERATIONS)
        if cuda:
            _take(trainer, iteration)
        seconds.append(_take(trainer, iteration) * batch / small)
    return float(np.mean(seconds)) * total, len(seconds), _clip_seconds(trainer, train, small)


def _take(trainer: Trainer, iteration: int) -> float:
    """Take one iteration of a run, as it would be taken in its place, and return its seconds."""
    trainer.iteration = min(iteration, trainer.config.schedule.total) - 1
    start = time.perf_counter()
    with suppress(Diverged):  # it is timed, not trained
        for _ in trainer.run(trainer.iteration + 1):
            pass
    if trainer.device.type == "cuda":
        torch.cuda.synchronize(trainer.device)
    return time.perf_counter() - start


def _clip_seconds(trainer: Trainer, train: TrainConfig, count: int) -> float:
    seeds, labels = np.arange(count), np.arange(count) % trainer.num_classes
    start = time.perf_counter()
    for clips in generate(trainer.networks, seeds, labels, precision=train.precision):
        clips.cpu()
    return (time.perf_counter() - start) / count
