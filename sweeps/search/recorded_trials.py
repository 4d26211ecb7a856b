"""What the study's database holds of its trials, looked at only, in this project's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import OperationalError

from sweeps.config.schema import SweepConfig
from sweeps.search.storage import STATES, has_study, is_incomplete, read_study, run_of, sound_trials, trial_numbers
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import shown_uri, without_secrets
from tsvan.validation import UserError, first_line

_OURS = {told: state for state, told in STATES.items()} | {
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class RecordedTrial:
    """A trial as the database holds it.

    Args:
        number: of the trial.
        state: in this project's words: `running`, `complete`, `pruned`, `diverged` or `failed`.
        consistent: Optuna's own state is the one that belongs to `state`.
    """

    number: int
    state: str
    consistent: bool


def recorded_trials(paths: StudyPaths) -> tuple[dict[int, RecordedTrial] | None, list[str]]:
    """Read the trials that have begun, by number.

    Returns:
        The trials (None: the database can't be asked), and what is wrong with the database, in words.
    """
    name = shown_uri(paths.storage) if paths.storage else paths.database.name
    try:
        if not has_study(paths):
            missing = f"{name} does not hold the study" if paths.storage else f"{name} is missing"
            return (None, [missing]) if trial_numbers(paths) else ({}, [])
        trials = sound_trials(paths)
        if trials is None:
            return None, [f"{name} is damaged"]
    except (OperationalError, StorageInternalError, UserError) as error:
        line = first_line(error.__cause__ or error)
        return None, [f"{name} can't be read now ({without_secrets(line, paths.storage)})"]
    # One that runs without parameters is being drawn, or its driver died while it was.
    return {trial.number: _recorded(trial) for trial in trials if _begun(trial) and not _being_drawn(trial)}, []


def trial_rows(paths: StudyPaths, config: SweepConfig) -> list[dict[str, Any]]:
    """List the trials, one row each: number, state, params, score, iteration, MLflow run, and what else is known."""
    if not has_study(paths):
        return []
    return [_row(trial, paths, config) for trial in read_study(paths).trials if _begun(trial)]


def _row(trial: FrozenTrial, paths: StudyPaths, config: SweepConfig) -> dict[str, Any]:
    attrs = trial.user_attrs
    scores = attrs.get("scores", {})
    return {
        "number": trial.number,
        "state": _recorded(trial).state,
        "params": trial.params,
        "score": scores.get(config.objective.metric),
        "iteration": attrs.get("iteration", 0),
        "mlflow_run_id": run_of(paths.trial(trial.number)) or attrs.get("mlflow_run_id"),
        "scores": scores,
        "reason": attrs.get("reason", ""),
        "origin": attrs.get("origin", "sampler"),
        "seconds": attrs.get("seconds"),
    }


def _begun(trial: FrozenTrial) -> bool:
    return trial.state != TrialState.WAITING and not is_incomplete(trial)


def _being_drawn(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.RUNNING and not trial.params


def _recorded(trial: FrozenTrial) -> RecordedTrial:
    # Optuna's FAIL is more than one state here; the trial's own attribute says which.
    said = str(trial.user_attrs.get("state", "failed")) if trial.state == TrialState.FAIL else _OURS[trial.state]
    return RecordedTrial(trial.number, said, STATES.get(said, trial.state) == trial.state)
