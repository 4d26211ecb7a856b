"""The share of a GPU that a trial needs, measured on the path that a trial takes: its steps, then its scoring."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from sweeps.config.schema import SweepConfig
from sweeps.config.space import largest
from sweeps.state.job import MENDED, Job
from sweeps.state.paths import StudyPaths
from sweeps.state.record import read_record
from sweeps.state.scorer_result import ScorerResult
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.state_file import MADE_AGAIN, read_state

AT_ONCE = 256
"""Clips that are sampled and scored at once where the config does not say: a trial with less memory takes fewer, more
slowly."""
_MARGIN = 1.15  # of the measured peak: the graphs and the gaps of a longer run
_CONTEXT_BYTES = 600 * 2**20  # of a process on a GPU before it allocates anything


def gpu_share(config: SweepConfig, paths: StudyPaths) -> float:
    """Return the GPU share of a trial: as asked for, or 1/n such that n of the largest configuration fit."""
    asked = config.resources.gpus_per_trial
    if not isinstance(asked, str):
        return asked
    peak = peak_bytes(paths, lambda: measure(config, paths))
    total = int(torch.cuda.get_device_properties(0).total_memory) - _CONTEXT_BYTES  # this process has one as well
    return fitting_share(peak, total)


def peak_bytes(paths: StudyPaths, measure: Callable[[], int]) -> int:
    """Return the peak of the largest configuration: as an earlier driver measured it, else as `measure` does now."""
    measured = read_state(paths.memory, dict[str, int], MADE_AGAIN)
    if measured is None:
        measured = {"peak_bytes": measure()}
        write_atomically(paths.memory, json.dumps(measured))
    return measured["peak_bytes"]


def fitting_share(peak: int, total: int) -> float:
    """Return 1/n such that n trials with a peak of so many bytes fit into a GPU with so many."""
    return float(1 / max(1, math.floor(total / (peak * _MARGIN + _CONTEXT_BYTES))))


def measure(config: SweepConfig, paths: StudyPaths) -> int:
    """Measure the peak bytes that PyTorch takes for a short run of the largest configuration, its score included."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    with tempfile.TemporaryDirectory(prefix="tsvan-memory-") as folder:
        take_once(largest(config), config, paths, Path(folder), "cuda")
    peak = torch.cuda.max_memory_reserved() - before  # with the gaps: what is allocated alone would not fit
    torch.cuda.empty_cache()
    return peak


def take_once(train: TrainConfig, config: SweepConfig, paths: StudyPaths, folder: Path, device: str) -> None:
    """Run each kind of step once, then sample and score as many clips as a trial would at once.

    The trainer's graphs are there when clips are sampled, as they are in a trial.

    Args:
        train: of the run; its length is not looked at.
        config: of the study, whose scorer is there already.
        folder: for the files of the run.
    """
    from sweeps.execution.trial import score_group
    from tsvan.trainer import Trainer

    record, scorer = read_record(paths), read_state(paths.scorer_result, ScorerResult, MENDED)
    assert record is not None
    assert scorer is not None
    store, short = ClipStore.open(record.store, config.rules), train.shortest
    trainer = Trainer.open(short, store, folder, device)
    for _ in trainer.run(short.schedule.total):
        pass
    at_once = config.scoring.batch_size or AT_ONCE
    job = Job(
        name="memory", number=0, folder=str(folder), config=short.to_dict(), store=record.store,
        store_hash=record.store_hash, scorer=scorer.folder, scorer_config=scorer.config, group="validation",
        num_clips=min(config.num_clips("validation", store.num_classes), at_once),
        objectives=tuple(objective.metric for objective in config.objectives), save_at=(), score_at=(),
        batch_size=at_once, device=device, i3d=config.scoring.i3d,
    )  # fmt: skip
    score_group(job, trainer)
