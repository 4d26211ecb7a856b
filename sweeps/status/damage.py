"""Damaged state files: which there are, and setting them aside so that they are made again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from sweeps.search.warm_start import WarmStart
from sweeps.state.hours import PLANNED_AGAIN, PlannedHours
from sweeps.state.inbox import ASK_AGAIN, Answer, Instruction
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.scorer_result import ScorerResult
from sweeps.state.stage_at_work import StageAtWork
from sweeps.state.uris import database_file
from sweeps.tracking.artifact_places import outdated_places
from tsvan.files import shown_path
from tsvan.state_file import MADE_AGAIN, DamagedFile, LaterVersion, read_state, set_aside

_FILES: tuple[tuple[str, Any, str], ...] = (
    ("trials/*/outcome.json", Outcome, "Optuna's database tells its end, or the trial goes on from its checkpoint"),
    ("final/*/outcome.json", Outcome, "the run goes on from its checkpoint"),
    ("trials/*/job.json", Job, MADE_AGAIN),
    ("final/*/job.json", Job, MADE_AGAIN),
    ("*/*/tracking.json", dict[str, Any], "MLflow is asked what it has"),
    ("tracking.json", dict[str, Any], "MLflow is asked what it has"),
    ("*/*/scores.json", dict[str, Any], "its intervals over clips are left out of the report"),
    ("*/*/seconds", float, "its time is counted from now on"),
    ("stages/scorer.json", ScorerResult, MADE_AGAIN),
    ("stages/memory.json", dict[str, int], MADE_AGAIN),
    ("stages/now.json", StageAtWork, MADE_AGAIN),
    ("inbox/????.json", Instruction, ASK_AGAIN),
    ("inbox/*.done.json", Answer, MADE_AGAIN),
    ("stages/warm_start.json", WarmStart, "the study began with it: restore it, or the sampler goes on without"),
    ("stages/hours.json", PlannedHours, PLANNED_AGAIN),
    ("stages/final.json", dict[str, Any], MADE_AGAIN),
    ("figures/pictures.json", dict[str, Any], MADE_AGAIN),
)
"""Pattern below the study's folder, what such a file holds, and what becomes of a damaged one."""


def damaged_files(root: Path) -> Iterator[DamagedFile]:
    """Yield what can't be read of a study's state files.

    Raises:
        LaterVersion: a later version of this program wrote a file.
    """
    for pattern, kind, becomes in _FILES:
        for file in sorted(root.glob(pattern)):
            yield from _damage(file, kind, becomes)


def damage_lines(paths: StudyPaths, uri: str) -> list[str]:
    """Say, in a line each, what of a study's files can't be read or is outdated; nothing is touched."""
    try:
        lines = [
            f"{shown_path(found.path)} is damaged ({found.why}): when the study goes on, {found.remedy}"
            for found in damaged_files(paths.root)
        ]
    except LaterVersion as error:
        lines = [str(error)]
    return [*lines, *_outdated(paths, uri)]


def _outdated(paths: StudyPaths, uri: str) -> list[str]:
    database = database_file(uri)
    with suppress(sqlite3.Error):  # which is told as MLflow's trouble
        old = [] if database is None else outdated_places(database, paths.artifacts)
        return [f"MLflow's store names {place} for its files: the study's own command corrects that" for place in old]
    return []


def lost_in(
    folder: TrialPaths, outcome: Outcome | None, journal: bool, checkpoint: int | None, alive: bool
) -> list[str]:
    """Say what is damaged in a run's folder, and what should be there and is not.

    Args:
        journal: it has lines.
        checkpoint: iteration of the newest; None: there is none.
        alive: a driver is at work.
    """
    lost = []
    try:
        lost += [f"{found.path.name} is damaged" for found in _damaged_in(folder.folder)]
    except LaterVersion:
        lost.append("a file is of a later version")
    if outcome is not None and outcome.iteration > 0 and not journal:
        lost.append(f"{folder.metrics.name} is {'empty' if folder.metrics.exists() else 'missing'}")
    if checkpoint is None and not alive and (journal if outcome is None else outcome.state == "complete"):
        lost.append("its checkpoints are missing")
    return lost


def _damaged_in(folder: Path) -> list[DamagedFile]:
    """Return the damaged files of one run of a study."""
    patterns = [(Path(pattern), kind, becomes) for pattern, kind, becomes in _FILES]
    files = [(folder / path.name, kind, becomes) for path, kind, becomes in patterns if len(path.parts) == 3]
    found = {damage.path: damage for file in files for damage in _damage(*file)}
    return list(found.values())


def _damage(file: Path, kind: Any, becomes: str) -> Iterator[DamagedFile]:
    try:
        read_state(file, kind, becomes)
    except DamagedFile as damaged:
        yield damaged


def set_damaged_aside(paths: StudyPaths) -> list[str]:
    """Rename damaged state files. Nothing may be at work on the study.

    Returns:
        A line for each, which says what becomes of it.

    Raises:
        LaterVersion: as above; nothing is renamed then.
    """
    return [
        f"{shown_path(found.path)} is damaged ({found.why}) and now {set_aside(found.path).name}: {found.remedy}"
        for found in [*damaged_files(paths.root)]
    ]
