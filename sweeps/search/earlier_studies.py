"""Studies of before that a new one begins with, read from their folders."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.config.same_study import recorded_config
from sweeps.config.schema import SweepConfig
from sweeps.search.storage import trial_numbers
from sweeps.state.job import Outcome, read_job
from sweeps.state.paths import StudyPaths
from sweeps.state.record import read_record
from tsvan.state_file import read_state
from tsvan.validation import UserError

_LOST = "finish that study again with its own command"


@dataclass(frozen=True)
class EarlierTrial:
    """A complete trial of an earlier study: its number there, its settings, and its scores by metric."""

    number: int
    params: dict[str, Any]
    scores: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EarlierStudy:
    """An earlier study.

    Args:
        folder: of it, as it was given.
        study_id: its own.
        config: of it.
        store_hash: of its clips.
        scorer_hash: of its scorer.
        trials: the complete ones, best first.
    """

    folder: Path
    study_id: str
    config: SweepConfig
    store_hash: str
    scorer_hash: str
    trials: tuple[EarlierTrial, ...]


def read_earlier(folder: Path, config: SweepConfig, own: StudyPaths) -> EarlierStudy:
    """Read an earlier study.

    Args:
        folder: of it.
        config: of the study that begins with it.
        own: paths of that study.

    Raises:
        UserError: there is no study, it has no complete trial, or no setting in common with the new one.
    """
    paths = StudyPaths(folder.resolve())
    record = read_record(paths) if folder.is_dir() else None
    if record is None:
        raise UserError(f"--warm-start {folder}: no study there; give the folder of a study, as runs/{config.dataset}")
    if paths.root == own.root:
        raise UserError(f"--warm-start {folder} is the study itself; give another one, or leave --warm-start out")
    theirs = recorded_config(record, paths)
    if theirs.model != config.model or not set(theirs.space) & set(config.space):
        raise UserError(
            f"--warm-start {folder} sweeps {', '.join(theirs.space)} of {theirs.model}, this study "
            f"{', '.join(config.space)} of {config.model}: nothing in common; give another study"
        )
    trials, metric = list(_complete(paths)), theirs.objective.metric
    if not trials:
        raise UserError(f"--warm-start {folder} has no complete trial yet; go on with it first, or give another study")
    scorer = read_state(paths.scorer_result, dict[str, Any], _LOST) or {}
    scored = [trial for trial in trials if metric in trial.scores]
    ranked = theirs.objective.rank(scored, lambda trial: trial.scores[metric])
    return EarlierStudy(folder, record.study_id, theirs, record.store_hash, str(scorer.get("hash", "")), tuple(ranked))


def _complete(paths: StudyPaths) -> list[EarlierTrial]:
    found = []
    for number in trial_numbers(paths):
        job, outcome = read_job(paths.trial(number)), Outcome.read(paths.trial(number))
        if job is not None and outcome is not None and outcome.state == "complete":
            found.append(EarlierTrial(number, job.params, outcome.values))
    return found
