"""What of a study stays on the disk: the last two checkpoints of a job that runs, the networks alone of one that has
ended, and once the sweep is over nothing but numbers, curves and samples of trials that did not complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sweeps.job import Outcome
from sweeps.paths import StudyPaths, TrialPaths
from tsvan.checkpoint import list_checkpoints, newest, save
from tsvan.strict import UserError


def slim(folder: TrialPaths) -> None:
    """Leave the networks of an ended run's newest good checkpoint; its optimisers are of no use any more."""
    files = list_checkpoints(folder.checkpoints)
    try:
        found = newest(folder.checkpoints)
    except UserError:
        return  # none is good: somebody may still want to look at them
    if found is None:
        return
    kept = save(replace(found, optimisers={}), folder.checkpoints, keep=len(files) + 1)
    for file in files:
        if file != kept:
            file.unlink(missing_ok=True)


def forget_unfinished(paths: StudyPaths) -> None:
    """The sweep is over: trials that were stopped early, diverged or failed lose their checkpoints."""
    for folder in _trials(paths):
        outcome = Outcome.read(folder)
        if outcome is not None and outcome.state != "complete":
            for file in list_checkpoints(folder.checkpoints):
                file.unlink(missing_ok=True)


def remove_leftovers(paths: StudyPaths) -> tuple[int, int]:
    """Remove what killed processes left half-written. Nothing may be at work on the study.

    Returns:
        How many files, and their bytes.
    """
    found = [file for file in _half_written(paths) if file.is_file()]
    size = sum(file.stat().st_size for file in found)
    for file in found:
        file.unlink(missing_ok=True)
    return len(found), size


def _half_written(paths: StudyPaths) -> Iterator[Path]:
    yield from paths.root.glob(".*.tmp*")
    for pattern in ("stages", "trials/*", "trials/*/*", "final/*", "final/*/*"):
        yield from paths.root.glob(f"{pattern}/.*.tmp")
    for stage in ("trials", "final"):
        yield from paths.root.glob(f"{stage}/*/checkpoints/unnamed")


def _trials(paths: StudyPaths) -> list[TrialPaths]:
    return [TrialPaths(folder) for folder in sorted(paths.root.glob("trials/*")) if folder.is_dir()]
