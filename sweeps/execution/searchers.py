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

    grows = False
    """Jobs may be added while others run."""

    def __init__(self, registry: JobRegistry) -> None:
        super().__init__(metric=POINT, mode="max")
        self.registry = registry

    @abstractmethod
    def following(self) -> Job | None:
        """Return the next new job; None: no more."""

    def finished(self, job: Job, outcome: Outcome) -> None:
        """Hear of a job's end, which is on disk."""

    @abstractmethod
    def total(self) -> int:
        """Count all jobs: those that ended, those that run and those to come."""

    def close(self) -> None:
        """Hand out nothing new: what has begun is still taken to its end."""

    def more(self) -> bool:
        """Tell whether there may be another job since `following` returned none."""
        return False

    def suggest(self, trial_id: str) -> Any:
        """Hand out the next job, its file and its slot, as Ray's config; None: none now, and Ray asks again."""
        registry = self.registry
        if not registry.reserve(trial_id):
            return None
        job = registry.guarded(None, registry.take, trial_id, self.following)
        if job is None:
            asks_again = self.grows and registry.running() and not registry.closed()
            return None if asks_again else Searcher.FINISHED
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

    grows = True

    def __init__(self, registry: JobRegistry, queue: SweepQueue) -> None:
        super().__init__(registry)
        self._queue = queue
        self._empty_at: int | None = None

    def following(self) -> Job | None:
        """Return what a death left unfinished, then what users added, then what Optuna draws; None: no more."""
        if not self.more():
            return None
        known = self._queue.num_instructions
        job = self._queue.next()
        self._empty_at = known if job is None else None
        return job

    def more(self) -> bool:
        """Tell whether users asked for something since there were no more jobs."""
        return self._empty_at is None or self._queue.num_instructions > self._empty_at

    def total(self) -> int:
        """Count the trials that the sweep has in all."""
        return self._queue.total

    def close(self) -> None:
        """Begin no more trials."""
        self._queue.close()

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
        self._waiting, self._total = list(jobs), len(jobs)

    def following(self) -> Job | None:
        """Hand out the next job of the list; None: no more."""
        if not self._waiting:
            return None
        job = self._waiting.pop(0)
        job.write()
        return job

    def total(self) -> int:
        """Count the jobs of the list."""
        return self._total
