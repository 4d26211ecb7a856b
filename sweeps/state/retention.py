"""What of a study stays on the disk: the last two checkpoints of a job that runs, the networks alone of one that has
ended, and once the sweep is over nothing but numbers, curves and samples of trials that did not complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sweeps.state.job import Outcome
from sweeps.state.paths import StudyPaths, TrialPaths
from tsvan.checkpoint import KEEP, newest, save
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.interface import implementation
from tsvan.validation import UserError

_WITH_OPTIMISERS = 3  # Adam keeps two moments of every weight
_SCORE_BYTES = 8 * 2**20  # a contact sheet of 16 clips, barely compressible, a video, and MLflow's three copies
_RUN_BYTES = 16 * 2**20  # losses and scores in the journal and in MLflow's store, curves
_RUN_FILES = 16  # of `TrialPaths`, and one that is being written
_FIXED_FILES = 60  # the study's own, with the report's figures
_FIXED_BYTES = 256 * 2**20  # scorer, real reference, report, Optuna's database


@dataclass(frozen=True)
class SizeBound:
    """The most that a study needs on the disk, in bytes.

    Args:
        networks: of one ended run of the largest configuration, for ever.
        running: more for each run while it is running: checkpoints with optimisers.
        runs: trials and final runs.
        at_once: how many run at the same time.
        records: samples, metrics, MLflow's copies and the registered model.
        files: in the study's folder, MLflow's apart.
    """

    networks: int
    running: int
    runs: int
    at_once: int
    records: int
    files: int

    @property
    def total(self) -> int:
        """Add up all of it."""
        return self.runs * self.networks + self.at_once * self.running + self.records


def size_bound(wide: TrainConfig, num_classes: int, trials: int, reruns: int, scores: int, at_once: int) -> SizeBound:
    """Bound a study from the weights of its largest configuration, counted.

    Args:
        wide: that configuration.
        trials: of the sweep.
        reruns: of the final stage.
        scores: of one trial; a rerun has one.
        at_once: runs at the same time.
    """
    with torch.device("meta"):
        networks = implementation(wide.model_name).networks(wide, num_classes)
    values = [*networks.parameters(), *networks.buffers()]
    size = sum(value.numel() * value.element_size() for value in values) + 2**20  # names and settings
    records = (trials * scores + reruns) * _SCORE_BYTES + (trials + reruns) * _RUN_BYTES + _FIXED_BYTES + size
    # One more is being written before the oldest goes.
    runs = trials + reruns
    # A sheet and a film for each score.
    files = _FIXED_FILES + runs * (_RUN_FILES + KEEP) + 2 * (trials * scores + reruns) + at_once
    return SizeBound(size, (KEEP + 1) * _WITH_OPTIMISERS * size, runs, at_once, records, files)


def drop_optimizer_state(folder: TrialPaths) -> None:
    """Leave the networks of an ended run's newest good checkpoint; its optimisers are of no use any more."""
    files = list_checkpoints(folder.checkpoints)
    try:
        found = newest(folder.checkpoints)
    except UserError:
        return  # none is good: somebody may still want to look at them
    if found is None:
        return
    if len(files) == 1 and not found.optimisers:
        return
    kept = save(replace(found, optimisers={}), folder.checkpoints, keep=len(files) + 1)
    for file in files:
        if file != kept:
            file.unlink(missing_ok=True)


def delete_unfinished_checkpoints(paths: StudyPaths) -> None:
    """Delete, now that the sweep is over, the checkpoints of trials that were stopped early, diverged or failed."""
    for folder in _trials(paths):
        outcome = Outcome.read(folder)
        if outcome is not None and outcome.state != "complete":
            for file in list_checkpoints(folder.checkpoints):
                file.unlink(missing_ok=True)


def remove_leftovers(paths: StudyPaths) -> tuple[int, int]:
    """Remove what killed processes left half-written, and Ray's bookkeeping. Nothing may be at work on the study.

    Returns:
        How many files, and their bytes.
    """
    shutil.rmtree(paths.ray, ignore_errors=True)
    found = [file for file in _half_written(paths) if file.is_file()]
    size = sum(file.stat().st_size for file in found)
    for file in found:
        file.unlink(missing_ok=True)
    return len(found), size


def _half_written(paths: StudyPaths) -> Iterator[Path]:
    yield from paths.root.glob(".*.tmp*")  # and the journal of a database that was being made
    for pattern in ("stages", "trials/*", "trials/*/*", "final/*", "final/*/*"):
        yield from paths.root.glob(f"{pattern}/.*.tmp")


def _trials(paths: StudyPaths) -> list[TrialPaths]:
    return [TrialPaths(folder) for folder in sorted(paths.root.glob("trials/*")) if folder.is_dir()]
