"""`python -m tests.faults.faulty ...`: `tune_runner.py`, each of whose trials meets the fault of its number."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweeps.state.job import Job, Point
from tsvan.journal import Journal

FAULTS = (
    "none",
    "worker killed",
    "raises once",
    "raises always",
    "nan in loss",
    "inf in score",
    "out of memory once",
    "out of memory always",
    "newest checkpoint damaged",
    "all checkpoints damaged",
)
MARK = "fault"


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """The real body; at its third score the fault strikes."""
    from sweeps.execution import trial

    mark = Path(job.folder) / MARK
    fault = FAULTS[job.number] if job.name.startswith("trials/") else "none"
    if fault == "nan in loss" or fault == "inf in score":
        _spoil(fault, trial)
    for place, point in enumerate(trial.train_and_score(job, stop)):
        yield point
        if place == 2 and (fault.endswith("always") or not mark.exists()):
            mark.touch()
            _strike(fault, job)


def _strike(fault: str, job: Job) -> None:
    if fault.startswith("raises"):
        raise RuntimeError("out of luck")
    if fault.startswith("out of memory"):
        raise MemoryError("no room for a tensor")
    files = sorted((Path(job.folder) / "checkpoints").glob("*.pt"), reverse=True)
    if fault.endswith("damaged"):
        for file in files[:1] if fault.startswith("newest") else files:
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 0xFF
            file.write_bytes(data)
    if fault.endswith("damaged") or fault == "worker killed":
        os.kill(os.getpid(), signal.SIGKILL)


def _spoil(fault: str, trial: Any) -> None:
    """From the third score on."""
    score = trial._score

    def third(job: Job) -> bool:
        late = len(trial.scored_points(Journal(job.paths.metrics))) >= 2
        trial._score = score if late else trial._score  # the worker is used for other trials, too
        return late

    def infinite(job: Job, trainer: Any) -> Point:
        point: Point = score(job, trainer)
        return replace(point, values=dict.fromkeys(point.values, math.inf)) if third(job) else point

    def poisoned(job: Job, trainer: Any) -> Point:
        point: Point = score(job, trainer)
        if third(job):
            trainer.networks.content_encoder.mean.bias.data.fill_(math.nan)
        return point

    trial._score = infinite if fault == "inf in score" else poisoned


def main() -> int:
    """The command."""
    import tune_runner
    from sweeps import study

    template = study._Driver._template
    study._Driver._template = lambda *parts: replace(template(*parts), body="tests.faults.faulty:body")  # type: ignore[method-assign]
    return tune_runner.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
