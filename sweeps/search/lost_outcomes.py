"""Outcomes that were lost or damaged, made again from what Optuna's database remembers."""

from __future__ import annotations

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeps.search.storage import is_incomplete
from sweeps.state.job import Outcome, read_job
from sweeps.state.paths import StudyPaths, TrialPaths

_OURS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}


def restore_outcomes(study: optuna.Study, paths: StudyPaths) -> list[int]:
    """Write the outcomes of trials that ended by Optuna's database and have none in their folder.

    Returns:
        Numbers of the trials.
    """
    restored = []
    for trial in study.trials:
        folder = paths.trial(trial.number)
        if trial.state in _OURS and not is_incomplete(trial) and folder.folder.exists() and not folder.outcome.exists():
            _outcome(trial, folder).write(folder)
            restored.append(trial.number)
    return restored


def _outcome(trial: FrozenTrial, folder: TrialPaths) -> Outcome:
    attrs, job = trial.user_attrs, read_job(folder)
    return Outcome(
        state=attrs.get("state", _OURS[trial.state]),
        iteration=attrs.get("iteration", 0),
        values=attrs.get("scores", {}),
        reason=attrs.get("reason", ""),
        seconds=attrs.get("seconds", 0.0),
        num_clips=0 if job is None else job.num_clips,
        details={"restored": "from Optuna's database"},
    )
