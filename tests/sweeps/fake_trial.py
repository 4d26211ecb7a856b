"""A trial body without a trainer: writes the same files in milliseconds. Settings of the job steer it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweeps.job import SCORE, TRAIN, Interrupted, Job, Outcome, Point, scored_points
from tsvan.journal import Journal


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """Score = -(lambda2 - 5)^2 + iteration / 1000; lambda2 >= 7.9 diverges, <= 3.05 raises once."""
    lambda2 = job.config["loss"]["lambda2"]
    journal = Journal(job.paths.metrics)
    checkpoint = job.paths.checkpoints / "iteration"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    journal.truncate(done)
    points = scored_points(journal)
    yield from points
    values = points[-1].values if points else {}
    _misbehave(job, lambda2)
    for target in job.score_at:
        if target <= done:
            continue
        if stop():
            raise Interrupted
        time.sleep(float(os.environ.get("FAKE_STEP_S", "0")))
        journal.append(target, TRAIN, {"content/encoder": 1 / target, "rate/iterations_per_s": 1.0})
        checkpoint.write_text(str(target))
        if lambda2 >= 7.9 and target > job.score_at[0]:
            Outcome("diverged", target, values, "content/encoder is nan").write(job.paths)
            return
        values = dict.fromkeys(job.objectives, -((lambda2 - 5) ** 2) + target / 1000)
        journal.append(target, SCORE, values, sync=True)
        yield Point(target, values)
    Outcome("complete", job.score_at[-1], values, seconds=0.1, num_clips=job.num_clips).write(job.paths)


def _misbehave(job: Job, lambda2: float) -> None:
    mark = Path(job.folder) / "raised"
    if lambda2 <= 3.05 and not mark.exists():
        mark.touch()
        raise RuntimeError("out of luck")
