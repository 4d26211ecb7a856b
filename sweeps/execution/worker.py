"""The worker process: job after job in one Ray actor. One step is the way to the next score."""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from sweeps.execution.prefetch import Ahead, Body
from sweeps.state.errors import storage_error
from sweeps.state.job import Interrupted, Job, Outcome, Point, memory_faults
from tsvan.files import NO_LOCKS
from tsvan.out_of_memory import memory_error
from tsvan.validation import UserError

from ray import tune  # isort: skip

POINT, NOTES, OUTCOME, PROBLEM, MEMORY = "point", "notes", "outcome", "problem", "memory"
"""Keys of a step's result: a score; lines for people; how the job ended; why the study must stop; that the job ran out
of memory."""
SLOT = "slot"
"""Key of Ray's config: node (empty: any), cores and GPUs of the job."""

_ORPHAN_S = 60.0
"""How long a worker whose driver was killed may take to notice; until then the job is still in its hands."""


class JobActor(tune.Trainable):
    """A worker process, which takes one job after the other."""

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory | None:
        """Return what Ray is to give the worker: cores and GPUs on the node of the job's slot."""
        if SLOT not in config:
            return None
        node, cpus, gpus = config[SLOT]
        there: dict[str, Any] = {"bundle_label_selector": [{"ray.io/node-id": node}]} if node else {}
        return tune.PlacementGroupFactory([{"CPU": cpus, **({"GPU": gpus} if gpus else {})}], **there)

    def setup(self, config: dict[str, Any]) -> None:
        """Remember the job; the work begins in `step`, so that every failure is a failure of a step."""
        self._job = Job.from_dict(json.loads(Path(config["job"]).read_text()))
        self._points: Ahead | None = None
        self._lock: IO[str] | None = None
        self._noted = len(_notes(self._job))
        self._terminated = False
        signal.signal(signal.SIGTERM, self._on_sigterm)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # our nodes' other processes have it blocked

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next job into the same process."""
        self.cleanup()
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train up to the next score."""
        job = self._job
        try:
            if self._points is None:
                self._lock = claim(job)
                if len(memory_faults(job.paths)) > job.larger_share:
                    return self._done(MEMORY, "before")
                job.paths.error.unlink(missing_ok=True)
                self._points = Ahead(_body(job.body), job, self._should_stop)
            point = self._points.next()
        except Interrupted:
            if self._terminated:
                job.paths.moved.touch()
                sys.exit(1)  # the machine takes its worker away; the job goes on elsewhere
            return self._done()
        except UserError as error:
            return self._done(PROBLEM, str(error))  # no job is to blame: the study stops
        except Exception as error:
            if reason := memory_error(error):
                note_memory(job, reason)
                return self._done(MEMORY, reason)
            if problem := storage_error(error, job.paths.folder):
                return self._done(PROBLEM, problem)
            job.paths.folder.mkdir(parents=True, exist_ok=True)
            job.paths.error.write_text(traceback.format_exc())
            raise
        if point is None:
            outcome = Outcome.read(job.paths)
            return self._done(*((OUTCOME, json.dumps(asdict(outcome))) if outcome is not None else ()))
        return {POINT: json.dumps([point.iteration, point.values]), NOTES: self._news(), "done": False}

    def cleanup(self) -> None:
        """Let go of the networks and of the job."""
        if self._points is not None:
            self._points.leave()
            self._points = None
        gc.collect()  # what an exception held
        _free_device()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _done(self, key: str = "", value: str = "") -> dict[str, Any]:
        self.cleanup()
        return {"done": True, NOTES: self._news(), **({key: value} if key else {})}

    def _news(self) -> str:
        lines = _notes(self._job)[self._noted :]
        self._noted += len(lines)
        return "\n".join(lines)

    def _should_stop(self) -> bool:
        return self._terminated or Path(self._job.stop_file).exists() or self._job.paths.leave.exists()

    def _on_sigterm(self, *_: Any) -> None:
        self._terminated = True
        if self._points is None:  # nothing is at work that could be saved
            os._exit(1)


def read_point(result: dict[str, Any]) -> Point | None:
    """Read the score in a step's result; None: it holds none."""
    return Point(*json.loads(result[POINT])) if POINT in result else None


def read_outcome(result: dict[str, Any]) -> Outcome | None:
    """Read the job's end in its worker's last result; None: it holds none."""
    return Outcome(**json.loads(result[OUTCOME])) if OUTCOME in result else None


def note_memory(job: Job, reason: str) -> None:
    """Add a line to the job's list of memory faults."""
    with open(job.paths.memory, "a", encoding="utf-8") as file:
        file.write(reason + "\n")


def _notes(job: Job) -> list[str]:
    return job.paths.notes.read_text(encoding="utf-8").splitlines() if job.paths.notes.exists() else []


def claim(job: Job, patience_s: float = _ORPHAN_S) -> IO[str]:
    """Hold the job's lock: a driver's death leaves its workers a moment to live, and two at one folder would ruin it.

    Raises:
        RuntimeError: another process still works on it after so long.
    """
    job.paths.folder.mkdir(parents=True, exist_ok=True)
    lock = open(job.paths.lock, "a")  # noqa: SIM115 - held until the job's end
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _signed(lock)
        except BlockingIOError:
            if time.monotonic() > deadline:
                lock.close()
                raise RuntimeError(f"another process still works in {job.paths.folder}; end it") from None
            time.sleep(0.1)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return _signed(lock)  # a file system without locks


def _signed(lock: IO[str]) -> IO[str]:
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def claimed_by(job: Job) -> int:
    """Return the process id of the worker that claimed the job last; 0: none did."""
    text = job.paths.lock.read_text() if job.paths.lock.exists() else ""
    return int(text) if text.isdecimal() else 0


def _free_device() -> None:
    import torch

    with suppress(RuntimeError):  # a device that is lost is the next job's problem
        torch.cuda.empty_cache()  # nothing without a device


def _body(name: str) -> Body:
    module, function = name.split(":")
    body: Body = getattr(importlib.import_module(module), function)
    return body
