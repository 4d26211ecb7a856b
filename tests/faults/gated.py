"""`python -m tests.faults.gated ...`: `tune_runner.py`, whose trials rest after a score until a gate opens."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweeps.state.job import Job, Point


def gate(out: Path, number: int | None = None) -> Path:
    """The file that opens the gate of a study, or of one of its trials."""
    return out / ("gate" if number is None else f"gate-{number}")


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """The real body; after each score it rests until the gate is open or it is to stop."""
    from sweeps.execution.trial import train_and_score

    out = job.paths.folder.parent.parent
    for point in train_and_score(job, stop):
        yield point
        while not gate(out).exists() and not gate(out, job.number).exists() and not stop():
            time.sleep(0.02)


def main() -> int:
    """The command."""
    import tune_runner

    return tune_runner.main(sys.argv[1:], {"body": "tests.faults.gated:body"})


if __name__ == "__main__":
    sys.exit(main())
