"""Whether Optuna and MLflow say of a run what its own files say. Pure."""

from __future__ import annotations

from collections import Counter

from sweeps.search.recorded_trials import RecordedTrial
from sweeps.state.job import Outcome
from sweeps.tracking.client import has_status
from sweeps.tracking.reader import TrackedRun
from tsvan.terminal import counted

UNKNOWN = "?"


def by_optuna(trial: RecordedTrial | str | None, outcome: Outcome | None, alive: bool) -> tuple[str | None, list[str]]:
    """Return what Optuna says of a trial, and what is wrong with it.

    Args:
        trial: as Optuna holds it; `?`: Optuna does not know it; None: Optuna can't be asked; empty: not Optuna's.
        outcome: by the trial's folder, the truth.
        alive: a driver is at work: what Optuna has not heard yet is on its way.
    """
    if trial == "":
        return None, []
    if trial is None:
        return UNKNOWN, []
    if isinstance(trial, str):
        return None, [] if alive else ["Optuna does not know it"]
    said, expected = trial.state, "running" if outcome is None else outcome.state
    if said == expected and trial.consistent:
        return said, []
    if alive and said == "running":
        return said, []  # on its way
    return said, [f"Optuna says {said}"]


def by_mlflow(runs: list[TrackedRun], outcome: Outcome | None, alive: bool) -> tuple[str | None, list[str]]:
    """Return what MLflow says of a run, and what is wrong with it; `runs` are those with this run's key."""
    if not runs:
        return None, ["not in MLflow"] if outcome is not None and not alive else []
    run = runs[0]
    problems = [f"{len(runs)} runs in MLflow"] if len(runs) > 1 else []
    said = "running" if run.status == "RUNNING" else run.state or run.status.lower()
    consistent = run.status == "RUNNING" or has_status(run.state, run.status)
    if not consistent:
        said = f"{said} ({run.status})"
    expected = {outcome.state} if outcome is not None else {"interrupted", *(["running"] if alive else [])}
    if said not in expected and not (alive and said in ("running", "interrupted")):
        problems.append("open in MLflow" if said == "running" else f"MLflow says {said}")
    return said, problems


def points_missing(wanted: list[int], runs: list[TrackedRun]) -> list[str]:
    """Say how many scores of a run's journal are missing or doubled in MLflow; nothing where each is there once."""
    if not runs:
        return []
    missing, count = set(wanted) - set(runs[0].steps), Counter(runs[0].steps)
    doubled = [step for step, times in count.items() if times > 1]
    return [
        *([f"{counted(len(missing), 'score')} missing in MLflow"] if missing else []),
        *([f"{counted(len(doubled), 'score')} doubled in MLflow"] if doubled else []),
    ]
