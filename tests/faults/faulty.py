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
    """The real body; at its third score the fault strikes that the option `faults` names for the trial."""
    from sweeps.execution.trial import score_group, train_and_score

    mark = Path(job.folder) / MARK
    fault = job.body_options["faults"].get(job.name, "none")
    scored = 0

    def score(job: Job, trainer: Any) -> Point:
        nonlocal scored
        scored += 1
        point = score_group(job, trainer)
        if fault == "inf in score" and scored >= 3:
            return replace(point, values=dict.fromkeys(point.values, math.inf))
        if fault == "nan in loss" and scored >= 3:
            trainer.networks.content_encoder.mean.bias.data.fill_(math.nan)
        return point

    for place, point in enumerate(train_and_score(job, stop, score)):
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


def main() -> int:
    """The command."""
    import tune_runner

    faults = {f"trials/{number:03d}": fault for number, fault in enumerate(FAULTS)}
    return tune_runner.main(sys.argv[1:], {"body": "tests.faults.faulty:body", "body_options": {"faults": faults}})


if __name__ == "__main__":
    sys.exit(main())
