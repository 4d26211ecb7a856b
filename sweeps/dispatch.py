"""Jobs on Ray Tune. The queue decides what runs and who goes on; Ray finds a machine, starts the worker, and starts it
again when it dies. Ray's snapshots are never restored: a study goes on from its own files (`search.py`).
"""

from __future__ import annotations

import importlib
import json
import logging
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweeps.cluster import Slots  # first: it tells Ray to be quiet
from sweeps.job import Interrupted, Job, JobQueue, Listener, Outcome, Point, pruned
from tsvan.checkpoint import list_checkpoints

from ray import tune  # isort: skip
from ray.tune.experiment import Trial  # isort: skip
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # isort: skip
from ray.tune.search import Searcher  # isort: skip


def run_jobs(queue: JobQueue, listeners: list[Listener], slots: Slots, folder: Path, stop: Path, retries: int) -> None:
    """Run the queue's jobs until there are no more, or until `stop` exists and the running ones have saved.

    Args:
        queue: decides.
        listeners: look on.
        slots: jobs at a time.
        folder: Ray's bookkeeping.
        stop: a file.
        retries: starts of a job after its worker died or raised.
    """
    shutil.rmtree(folder, ignore_errors=True)
    desk = _Desk(queue, listeners, stop)
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)  # a failed job is a result, told by its outcome
    tune.run(
        JobActor,
        name="jobs",
        storage_path=str(folder),
        num_samples=-1,
        search_alg=_Hand(desk, slots.workers),
        scheduler=_Eye(desk),
        resources_per_trial={"cpu": slots.cpus, "gpu": slots.gpus},
        reuse_actors=True,
        max_failures=retries,
        raise_on_failed_trial=False,
        verbose=0,
        trial_dirname_creator=lambda trial: str(trial.trial_id),
    )
    for trial_id in [] if stop.exists() else list(desk.jobs):
        desk.end(trial_id, error=True)  # Ray let go of it without a word
    shutil.rmtree(folder, ignore_errors=True)


class JobActor(tune.Trainable):
    """A worker process. It is used for job after job; one step is the way to the next score."""

    def setup(self, config: dict[str, Any]) -> None:
        """Remember the job; the work begins in `step`, so that every failure is a failure of a step."""
        self._job = Job.from_dict(json.loads(Path(config["job"]).read_text()))
        self._points: Iterator[Point] | None = None
        self._terminated = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next job into the same process."""
        self._points = None
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next score."""
        try:
            if self._points is None:
                self._job.paths.error.unlink(missing_ok=True)
                self._points = _body(self._job)(self._job, self._should_stop)
            point = next(self._points, None)
        except Interrupted:
            if self._terminated:
                sys.exit(1)  # the machine takes its worker away: Ray starts the job elsewhere
            return {"done": True}
        except Exception:
            self._job.paths.folder.mkdir(parents=True, exist_ok=True)
            self._job.paths.error.write_text(traceback.format_exc())
            raise
        if point is None:
            return {"done": True}
        return {"point": json.dumps([point.iteration, point.values]), "done": False}

    def cleanup(self) -> None:
        """Let go of the networks."""
        self._points = None

    def _should_stop(self) -> bool:
        return self._terminated or Path(self._job.stop_file).exists()

    def _on_sigterm(self, *_: Any) -> None:
        self._terminated = True


class _Desk:
    """What both of Ray's hooks share: which Ray trial is which job, and what became of it."""

    def __init__(self, queue: JobQueue, listeners: list[Listener], stop: Path) -> None:
        self.queue, self.listeners, self.stop = queue, listeners, stop
        self.jobs: dict[str, Job] = {}
        self.began: dict[str, float] = {}
        self.last: dict[str, Point] = {}
        self.stopped: set[str] = set()

    def take(self, trial_id: str) -> Job | None:
        if self.stop.exists():
            return None
        job = self.queue.next()
        if job is not None:
            self.jobs[trial_id], self.began[trial_id] = job, time.monotonic()
            for listener in self.listeners:
                listener.started(job)
        return job

    def result(self, trial_id: str, result: dict[str, Any]) -> bool:
        if "point" not in result:
            return True
        job, (iteration, values) = self.jobs[trial_id], json.loads(result["point"])
        point = self.last[trial_id] = Point(iteration, values)
        goes_on = self.queue.progress(job, point)
        for listener in self.listeners:
            listener.scored(job, point)
        if not goes_on:
            self.stopped.add(trial_id)
        return goes_on

    def end(self, trial_id: str, error: bool) -> None:
        job = self.jobs.pop(trial_id)
        outcome = Outcome.read(job.paths) or self._outcome(trial_id, job, error)
        if outcome is None:
            return  # interrupted: the next start goes on with it
        self.queue.finished(job, outcome)
        for file in list_checkpoints(job.paths.checkpoints)[1:]:
            file.unlink(missing_ok=True)  # it has ended: one is enough
        for listener in self.listeners:
            listener.ended(job, outcome)

    def _outcome(self, trial_id: str, job: Job, error: bool) -> Outcome | None:
        point = self.last.get(trial_id, Point(0, {}))
        seconds = time.monotonic() - self.began[trial_id]
        if trial_id in self.stopped:
            outcome = pruned(job, point, seconds)
        elif error:
            text = job.paths.error.read_text().strip() if job.paths.error.exists() else "its worker died"
            reason = text.splitlines()[-1]
            outcome = Outcome("failed", point.iteration, point.values, reason, seconds, job.num_clips)
        elif self.stop.exists():
            return None
        else:
            outcome = Outcome("failed", point.iteration, point.values, "ended without an outcome", seconds)
        outcome.write(job.paths)
        return outcome


class _Hand(Searcher):
    """Ray asks it for trials."""

    def __init__(self, desk: _Desk, workers: int) -> None:
        super().__init__(metric="point", mode="max")
        self._desk, self._workers = desk, workers

    def suggest(self, trial_id: str) -> Any:
        """A job's file as Ray's config; None while all workers are busy."""
        if len(self._desk.jobs) >= self._workers:
            return None
        job = self._desk.take(trial_id)
        return Searcher.FINISHED if job is None else {"job": str(job.paths.job)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler hears of every result before."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Settle what became of the job."""
        self._desk.end(trial_id, error)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's own files are the truth."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing, as above."""


class _Eye(FIFOScheduler):
    """Ray shows it every score."""

    def __init__(self, desk: _Desk) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._desk = desk

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Go on or stop."""
        goes_on = self._desk.result(trial.trial_id, result)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)


def _body(job: Job) -> Any:
    module, name = job.body.split(":")
    return getattr(importlib.import_module(module), name)
