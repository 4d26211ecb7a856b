"""Ray Tune's scheduler: applies the early-stopping rule to scores, and tells a job that gets on from a stuck one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from sweeps.execution.job_registry import JobRegistry
from sweeps.execution.memory_pressure import MemoryPressure, read_pressure
from sweeps.execution.worker import read_point
from sweeps.search.early_stopping import StoppingRule
from sweeps.state.job import Job, Point

from ray.tune.experiment import Trial  # isort: skip
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # isort: skip


_NODE_DIED = "node has died"


class EarlyStoppingScheduler(FIFOScheduler):
    """A scheduler that judges a trial at every score, and starts trials in the order in which they come.

    Args:
        registry: which of Ray's trials is which job.
        rule: None: nothing is stopped early.
    """

    def __init__(self, registry: JobRegistry, rule: StoppingRule | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._registry, self._rule = registry, rule
        self.pressure: MemoryPressure | None = None
        """Why a worker was killed before it began, if the machine had no memory left."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide at a step's result whether the trial goes on or stops."""
        registry, point = self._registry, read_point(result)
        if registry.problem:
            return str(TrialScheduler.STOP)
        if point is None:
            return str(TrialScheduler.CONTINUE)
        registry.score(trial.trial_id, point)
        if self._goes_on(registry.job(trial.trial_id), point):
            return str(TrialScheduler.CONTINUE)
        registry.stop_early(trial.trial_id)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Look at why a worker died, before it is settled what becomes of its job.

        Raises:
            ClusterLost: with Ray's own processes.
        """
        registry = self._registry
        if not registry.is_running(trial.trial_id):
            return
        registry.check_cluster()
        if trial.status == Trial.PENDING:
            # A worker that dies between two jobs: Ray would fail the next one without ever having started it.
            registry.note_not_begun(trial.trial_id)
        error = _last_error(trial)
        if pressure := read_pressure(error):
            registry.excuse(trial.trial_id)
            self.pressure = pressure
        elif _NODE_DIED in error or registry.is_stranded(trial.trial_id):
            registry.excuse(trial.trial_id)  # it goes on where there is a node

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Take back trials that wait for a worker on a node that has gone; then begin the first that waits."""
        for trial in list(tune_controller.get_live_trials()):
            if trial.status == Trial.PENDING and self._registry.is_stranded(trial.trial_id):
                self._registry.excuse(trial.trial_id)
                tune_controller.stop_trial(trial)
        return super().choose_trial_to_run(tune_controller)

    def _goes_on(self, job: Job, point: Point) -> bool:
        if self._rule is None or len(job.objectives) > 1 or point.iteration >= job.score_at[-1]:
            return True  # at the last score nothing is left to save
        score = point.values.get(job.objectives[0], math.nan)
        # A score that is not finite is nothing to judge by: the trial ends as diverged.
        return not math.isfinite(score) or self._rule.goes_on(job.number, point.iteration, score)


def _last_error(trial: Trial) -> str:
    """Read what Ray wrote of a trial's last failure."""
    file = trial.error_file
    text = Path(file).read_text() if file and Path(file).exists() else ""
    return text.rpartition("Failure #")[2]
