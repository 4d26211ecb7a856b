"""Ray Tune's callbacks: who looks on at the jobs, and who looks after the cluster."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from sweeps.execution.cluster_watch import ClusterWatch
from sweeps.execution.job_registry import JobRegistry
from sweeps.execution.scheduler import EarlyStoppingScheduler
from sweeps.execution.searchers import JobSearcher
from sweeps.execution.steering import Steering
from sweeps.execution.worker import NOTES, read_point
from sweeps.live_table import LiveTable
from sweeps.state.job import Job, Outcome, Point
from sweeps.state.signals import StudyInterrupted
from sweeps.tracking.uploader import Uploader

from ray import tune  # isort: skip
from ray.tune.experiment import Trial  # isort: skip


LOOK_S = 1.0
"""How often what users ask is looked for."""
SAVE_S = 600.0
"""How long a study that is to stop waits for its jobs to save; between two looks a job may score."""


class JobCallback(tune.Callback):
    """A callback that hears of jobs where Ray tells of its trials. Each start, score and end is told once.

    Args:
        registry: which of Ray's trials is which job.
    """

    def __init__(self, registry: JobRegistry) -> None:
        self._registry = registry
        self._started: set[tuple[str, bool]] = set()

    @abstractmethod
    def started(self, job: Job) -> None:
        """Hear that a job's worker has begun."""

    @abstractmethod
    def scored(self, job: Job, point: Point) -> None:
        """Hear that a job was scored."""

    @abstractmethod
    def ended(self, job: Job, outcome: Outcome) -> None:
        """Hear that a job has ended."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell of a job's start: once, though it is handed out again, unless it has a device to itself by then."""
        job = self._registry.job(trial.trial_id)
        if (job.name, job.larger_share) not in self._started:
            self._started.add((job.name, job.larger_share))
            self._registry.guarded(None, self.started, job)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Tell of the score in a step's result; the last result of a job holds none."""
        point, registry = read_point(result), self._registry
        if point is not None:
            registry.guarded(None, self.scored, registry.job(trial.trial_id), point)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell of a job's end, now that the searcher has settled what became of it."""
        registry, outcome = self._registry, self._registry.outcome(trial.trial_id)
        if outcome is not None:
            self.on_trial_start(iteration, trials, trial)  # should it have ended before Ray began with it
            registry.guarded(None, self.ended, registry.job(trial.trial_id), outcome)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell of a job's end, as `on_trial_complete` does, where its worker died or raised."""
        self.on_trial_complete(iteration, trials, trial)


class UploadCallback(JobCallback):
    """A callback that tells the uploader of jobs."""

    def __init__(self, registry: JobRegistry, uploader: Uploader) -> None:
        super().__init__(registry)
        self._uploader = uploader

    def started(self, job: Job) -> None:
        """Tell the uploader that a job's worker has begun."""
        self._uploader.started(job)

    def scored(self, job: Job, point: Point) -> None:
        """Tell the uploader that a job was scored."""
        self._uploader.scored(job, point)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Tell the uploader that a job has ended."""
        self._uploader.ended(job, outcome)


class TableCallback(JobCallback):
    """A callback that shows jobs, and the lines that their workers have for people, in the terminal."""

    def __init__(self, registry: JobRegistry, table: LiveTable) -> None:
        super().__init__(registry)
        self._table = table

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Show the lines for people in a step's result, then its score; the last result of a job holds none."""
        for line in str(result.get(NOTES, "")).splitlines():
            self._table.say(f"  {self._registry.job(trial.trial_id).name}: {line}")
        super().on_trial_result(iteration, trials, trial, result, **info)

    def started(self, job: Job) -> None:
        """Show that a job's worker has begun."""
        self._table.started(job)

    def scored(self, job: Job, point: Point) -> None:
        """Show that a job was scored."""
        self._table.scored(job, point)

    def ended(self, job: Job, outcome: Outcome) -> None:
        """Show that a job has ended."""
        self._table.ended(job, outcome)


class SteeringCallback(tune.Callback):
    """A callback that follows what users ask of the study while it runs.

    Args:
        steering: what they asked.
        registry: of the jobs that it concerns.
        searcher: of the jobs.
        workers: jobs at a time.
        expect: told how many jobs there are in all, when that changes.
    """

    def __init__(
        self,
        steering: Steering,
        registry: JobRegistry,
        searcher: JobSearcher,
        workers: int,
        expect: Callable[[int], None],
    ) -> None:
        self._steering, self._registry, self._searcher = steering, registry, searcher
        self._workers, self._expect = workers, expect
        self._looked = -LOOK_S

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look for news, each second, and ask the jobs to end or to leave that are to."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        self._registry.guarded(None, self._follow)

    def _follow(self) -> None:
        steering, registry = self._steering, self._registry
        over = self._searcher.grows and steering.end_sweep(self._workers)
        if over:
            self._searcher.close()
        if steering.look() or over:
            self._expect(self._searcher.total())
        for job in registry.running():
            if reason := steering.reason_to_end(job):
                registry.end(job, reason)
        if hold := steering.hold:
            registry.hold = hold
            registry.let_go()


class WatchCallback(tune.Callback):
    """A callback that ends Ray Tune's loop when the cluster is lost, or when the machine has no memory left.

    Args:
        watch: of the cluster.
        scheduler: sees why workers die.
        registry: knows whether the study is to stop.
    """

    def __init__(self, watch: ClusterWatch, scheduler: EarlyStoppingScheduler, registry: JobRegistry) -> None:
        self._watch, self._scheduler, self._registry = watch, scheduler, registry
        self._stop_by: float | None = None

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """End the loop where there is reason to; Ray calls this ten times a second.

        Raises:
            ClusterLost: Ray's own processes are gone.
            MemoryPressure: a worker was killed for want of memory.
            StudyInterrupted: the study is to stop, and jobs did not save in time.
        """
        self._watch.raise_if_lost()
        if self._scheduler.pressure is not None:
            raise self._scheduler.pressure
        if not self._registry.stop.exists():
            return
        now = time.monotonic()
        self._stop_by = self._stop_by or now + SAVE_S
        if now > self._stop_by:
            names = ", ".join(job.name for job in self._registry.running())
            self._registry.say(f"  no answer within {SAVE_S / 60:.0f} min from {names}; left at the last checkpoint")
            raise StudyInterrupted
