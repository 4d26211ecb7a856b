"""Ray Tune's searchers: one over the Optuna study, one over a fixed list of reruns.

What they hand to Ray is the name of a job's file. Nothing is saved for Ray: a study goes on from its own files.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from sweeps.execution.job_registry import JobRegistry
from sweeps.execution.worker import POINT, SLOT, read_point
from sweeps.search.trial_queue import SweepQueue
from sweeps.state.job import Job, Outcome

from ray.tune.search import Searcher  # isort: skip


class JobSearcher(Searcher):
    """A searcher that suggests jobs as Ray's configs and settles what became of them.

    Args:
        registry: which of Ray's trials is which job.
    """

    def __init__(self, registry: JobRegistry) -> None:
        super().__init__(metric=POINT, mode="max")
        self.registry = registry

    @abstractmethod
    def following(self) -> Job | None:
        """Return the next new job; None: no more."""

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Hear of a job's end, which is on disk."""

    def suggest(self, trial_id: str) -> Any:
        """Hand out the next job, its file and its slot, as Ray's config; None: there is no slot now."""
        registry = self.registry
        if not registry.reserve(trial_id):
            return None  # Ray asks again
        job = registry.guarded(None, registry.take, trial_id, self.following)
        if job is None:
            return Searcher.FINISHED
        slot = registry.slot(trial_id)
        where = {} if slot is None else {SLOT: [slot.node, slot.slots.cpus, slot.slots.gpus]}
        return {"job": str(job.paths.job), **where}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Hear of a score that the scheduler has judged."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Settle what became of the job."""
        registry = self.registry

        def settle() -> None:
            job, outcome = registry.job(trial_id), registry.settle(trial_id, error, result)
            if outcome is not None:
                self.finished(job, outcome)

        if registry.is_running(trial_id):
            registry.guarded(None, settle)

    def save(self, checkpoint_path: str) -> None:
        """Save nothing: the study's own files are the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Restore nothing: the study's own files are the truth."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Save nothing: the study's own files are the truth."""


class QueueSearcher(JobSearcher):
    """A searcher that asks the Optuna study for trials and tells it their scores and ends.

    Args:
        registry: which of Ray's trials is which job.
        queue: over the study.
    """

    def __init__(self, registry: JobRegistry, queue: SweepQueue) -> None:
        super().__init__(registry)
        self._queue = queue

    def following(self) -> Job | None:
        """Return what a death left unfinished, then what Optuna draws; None: no more."""
        return self._queue.next()

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Tell Optuna a score of a trial that goes on."""
        point = read_point(result)
        if point is not None:
            self.registry.guarded(None, self._queue.report, self.registry.job(trial_id), point)

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Tell Optuna the end of a trial."""
        self._queue.finished(job, outcome)


class RerunSearcher(JobSearcher):
    """A searcher that hands out a fixed list of jobs. Their folders say it all.

    Args:
        registry: which of Ray's trials is which job.
        jobs: those that have not ended yet.
    """

    def __init__(self, registry: JobRegistry, jobs: Sequence[Job]) -> None:
        super().__init__(registry)
        self._waiting = list(jobs)

    def following(self) -> Job | None:
        """Hand out the next job of the list; None: no more."""
        if not self._waiting:
            return None
        job = self._waiting.pop(0)
        job.write()
        return job
