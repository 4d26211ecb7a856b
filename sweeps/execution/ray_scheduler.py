"""Jobs on Ray Tune. The queue decides what runs and who goes on; Ray finds a machine, starts the worker, and starts it
again when it dies. Ray's snapshots are never restored: a study goes on from its own files (`search.py`).
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweeps.execution.ray_cluster import Slots
from sweeps.execution.worker import (  # first: it tells Ray to be quiet
    NOTES,
    POINT,
    PROBLEM,
    JobActor,
    note_memory,
    read_point,
)
from sweeps.state.errors import StorageError, storage_error
from sweeps.state.job import Job, JobQueue, Listener, Outcome, Point, memory_faults, pruned, spent
from sweeps.state.retention import drop_optimizer_state

import ray  # isort: skip
from ray import tune  # isort: skip
from ray.tune.experiment import Trial  # isort: skip
from ray.tune.schedulers import FIFOScheduler, TrialScheduler  # isort: skip
from ray.tune.search import Searcher  # isort: skip

MAX_REQUEUES = 10
"""How often a job is handed out again whose worker died before it began."""

_MONITOR = ("OutOfMemoryError", "running low on memory")
"""How Ray's memory monitor signs what it killed."""


def run_jobs(
    queue: JobQueue,
    listeners: list[Listener],
    slots: Slots,
    folder: Path,
    stop: Path,
    retries: int,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Run the queue's jobs until there are no more, or until `stop` exists and the running ones have saved.

    A job that runs out of memory is put aside; when the others have ended, it goes on from its checkpoint with a
    device to itself, and fails if that is too small as well. (Ray can't give a running trial another share while its
    workers are reused.)

    Args:
        queue: decides.
        listeners: look on.
        slots: jobs at a time.
        folder: Ray's bookkeeping.
        stop: a file.
        retries: starts of a job after its worker died or raised, with no score in between.
        say: told, in a line, what a person should know.

    Raises:
        StorageError: the study can't be written; the running jobs have been stopped.
    """
    desk = _Desk(queue, listeners, stop, say)
    _run(desk, slots, folder, retries)
    if desk.aside and not desk.closed():
        desk.again, desk.aside = [replace(job, larger_share=True) for job in desk.aside], []
        _run(desk, _whole_devices(slots), folder, retries)
    if desk.problem:
        raise StorageError(desk.problem)


def _run(desk: _Desk, slots: Slots, folder: Path, retries: int) -> None:
    _run_once(desk, slots, folder, retries)
    while desk.again and not desk.closed():  # put back when Ray had no more to ask for
        _run_once(desk, slots, folder, retries)


def _run_once(desk: _Desk, slots: Slots, folder: Path, retries: int) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("tune", "execution.experiment_state"):  # failed jobs and full disks are told elsewhere
        logging.getLogger(f"ray.tune.{name}").setLevel(logging.CRITICAL)
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
    for trial_id in [] if desk.closed() else list(desk.jobs):
        desk.end(trial_id, error=True)  # Ray let go of it without a word
    shutil.rmtree(folder, ignore_errors=True)


def _whole_devices(slots: Slots) -> Slots:
    """The largest share there is: a GPU each, or without GPUs all cores of a machine."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if slots.gpus > 0:
        share = max(slots.gpus, 1.0)
        return Slots(max(1, int(sum(node.get("GPU", 0) for node in nodes) // share)), slots.cpus, share)
    cores = max(int(node.get("CPU", 0)) for node in nodes)
    return Slots(sum(int(node.get("CPU", 0)) == cores for node in nodes), cores, 0.0)


class _Desk:
    """What Ray's hooks share: which Ray trial is which job, and what became of it."""

    def __init__(self, queue: JobQueue, listeners: list[Listener], stop: Path, say: Callable[[str], None]) -> None:
        self.queue, self.listeners, self.stop, self.say = queue, listeners, stop, say
        self.jobs: dict[str, Job] = {}
        self.last: dict[str, Point] = {}
        self.furthest: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.aside: list[Job] = []
        self.again: list[Job] = []
        self.not_begun: set[str] = set()
        self.requeues: Counter[str] = Counter()
        self.problem = ""

    def closed(self) -> bool:
        """Nothing more is handed out."""
        return bool(self.problem) or self.stop.exists()

    def take(self, trial_id: str) -> Job | None:
        """The next job, if there is one."""
        job = None if self.closed() else self._next()
        if job is not None:
            self.jobs[trial_id] = job
            for listener in self.listeners:
                listener.started(job)
        return job

    def result(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Hear a score; False: stop the job."""
        point, job = read_point(result), self.jobs[trial_id]
        self._pass_on(job, result)
        if point is None:
            return True
        self.last[trial_id] = point
        goes_on = self.queue.progress(job, point)
        for listener in self.listeners:
            listener.scored(job, point)
        if not goes_on:
            self.stopped.add(trial_id)
        return goes_on

    def end(self, trial_id: str, error: bool, result: dict[str, Any] | None = None) -> None:
        """Settle what became of a job; one that was interrupted has no end yet, and the next start goes on with it."""
        job = self.jobs.pop(trial_id)
        if result and POINT not in result:  # a score's own were passed on with it
            self._pass_on(job, result)
        if result and (problem := result.get(PROBLEM)):
            self.give_up(problem)
            return
        if trial_id in self.not_begun and self.requeues[job.name] < MAX_REQUEUES:
            self.requeues[job.name] += 1
            self.again.append(job)
            return
        outcome = Outcome.read(job.paths) or self._outcome(trial_id, job, error)
        if outcome is None:
            return
        self.queue.finished(job, outcome)
        if outcome.state != "complete":  # its worker did so itself
            drop_optimizer_state(job.paths)
        for listener in self.listeners:
            listener.ended(job, outcome)

    def _pass_on(self, job: Job, result: dict[str, Any]) -> None:
        for line in str(result.get(NOTES, "")).splitlines():
            self.say(f"  {job.name}: {line}")

    def give_up(self, problem: str) -> None:
        """The study can't be written: no job is to blame, none is handed out any more, all stop at their next score."""
        self.problem = self.problem or problem

    def _next(self) -> Job | None:
        if self.again:
            self.again[0].write()
            return self.again.pop(0)
        while (job := self.queue.next()) is not None and memory_faults(job.paths):
            self.aside.append(job)  # put aside before a driver died
        return job

    def _outcome(self, trial_id: str, job: Job, error: bool) -> Outcome | None:
        point = self.last.get(trial_id, Point(0, {}))
        faults = memory_faults(job.paths)
        if trial_id in self.stopped:
            outcome = pruned(job, point)
        elif faults and not job.larger_share:
            self.say(f"  {job.name} is put aside ({faults[-1]}); it goes on with a device to itself at the end")
            self.aside.append(job)
            return None
        elif self.problem or (self.stop.exists() and not error):
            return None
        else:
            reason = f"also with a device to itself: {faults[-1]}" if len(faults) > 1 else _reason(job, error)
            outcome = Outcome("failed", point.iteration, point.values, reason, spent(job.paths), job.num_clips)
        outcome.write(job.paths)
        return outcome


def _reason(job: Job, error: bool) -> str:
    if not error:
        return "ended without an outcome"
    text = job.paths.error.read_text().strip() if job.paths.error.exists() else ""
    return text.splitlines()[-1] if text else "its worker died"


class _Hand(Searcher):
    """Ray asks it for trials."""

    def __init__(self, desk: _Desk, workers: int) -> None:
        super().__init__(metric=POINT, mode="max")
        self._desk, self._workers = desk, workers

    def suggest(self, trial_id: str) -> Any:
        """A job's file as Ray's config; None while all workers are busy."""
        if len(self._desk.jobs) >= self._workers:
            return None
        job = _guarded(self._desk, lambda: self._desk.take(trial_id), None)
        return Searcher.FINISHED if job is None else {"job": str(job.paths.job)}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """The scheduler hears of every result before."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Settle what became of the job."""
        _guarded(self._desk, lambda: self._desk.end(trial_id, error, result), None)

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
        desk, point = self._desk, read_point(result)
        if point is not None and point.iteration > desk.furthest.get(trial.trial_id, 0):  # no score that comes again
            desk.furthest[trial.trial_id] = point.iteration
            trial.run_metadata.num_failures = 0  # retries are for a job that gets nowhere, not for a long one
        goes_on = _guarded(desk, lambda: desk.result(trial.trial_id, result), False)
        return str(TrialScheduler.CONTINUE if goes_on and not desk.problem else TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """What Ray's memory monitor killed is noted where the next worker sees it, before Ray starts that."""
        job, file = self._desk.jobs.get(trial.trial_id), trial.error_file
        if job is None:
            return
        if trial.status == Trial.PENDING:
            # A worker that dies between two jobs: Ray would fail the next one without ever having started it.
            self._desk.not_begun.add(trial.trial_id)
        text = Path(file).read_text() if file and Path(file).exists() else ""
        last = text.rpartition("Failure #")[2]
        if any(words in last for words in _MONITOR):
            _guarded(self._desk, lambda: note_memory(job, "killed by Ray's memory monitor, the machine had none left"))
        elif trial.should_recover():  # type: ignore[no-untyped-call]
            self._desk.say(f"  {job.name}: {_reason(job, error=True)}; it starts again from its checkpoint")


def _guarded(desk: _Desk, action: Callable[[], Any], otherwise: Any = None) -> Any:
    """Ray would take an exception of its hooks for its own; a full disk stops the study in order."""
    try:
        return action()
    except Exception as error:
        problem = storage_error(error, desk.stop.parent)
        if problem is None:
            raise
        desk.give_up(problem)
        return otherwise
