"""A trial body without a trainer: writes the same files in milliseconds. Settings of the job steer it."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweeps.state.job import SCORE, TRAIN, Interrupted, Job, Outcome, Point, Stopwatch, scored_points
from tsvan.journal import Journal


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """Score = -(lambda2 - 5)^2 + iteration / 1000; lambda2 >= 7.9 diverges, <= 3.05 raises once.

    Exactly 3.5 needs a larger share of memory, 3.6 more than there is, 3.7 raises after each of its first three scores,
    3.8 finds a full disk as long as the folder holds `full`, 3.9 never gets beyond its second score.
    """
    lambda2 = job.config["loss"]["lambda2"]
    journal, watch = Journal(job.paths.metrics), Stopwatch(job.paths)
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
        _run_out(job, lambda2)
        time.sleep(float(os.environ.get("FAKE_STEP_S", "0")))
        journal.append(target, TRAIN, {"content/encoder": 1 / target, "rate/iterations_per_s": 1.0})
        checkpoint.write_text(str(target))
        if lambda2 >= 7.9 and target > job.score_at[0]:
            Outcome("diverged", target, values, "content/encoder is nan").write(job.paths)
            return
        values = dict.fromkeys(job.objectives, -((lambda2 - 5) ** 2) + target / 1000)
        journal.append(target, SCORE, values, sync=True)
        watch.note()
        yield Point(target, values)
        if lambda2 == 3.7 and target <= job.score_at[2]:
            raise RuntimeError("out of luck again")
    Outcome("complete", job.score_at[-1], values, seconds=watch.seconds, num_clips=job.num_clips).write(job.paths)


def _misbehave(job: Job, lambda2: float) -> None:
    mark = Path(job.folder) / "raised"
    if lambda2 <= 3.05 and not mark.exists():
        mark.touch()
        raise RuntimeError("out of luck")


def _run_out(job: Job, lambda2: float) -> None:
    if lambda2 == 3.6 or (lambda2 == 3.5 and not job.larger_share):
        raise MemoryError("Unable to allocate 9 GiB")
    if lambda2 == 3.9 and len(scored_points(Journal(job.paths.metrics))) == 2:
        raise RuntimeError("stuck")
    if lambda2 == 3.8 and (job.paths.folder.parent.parent / "full").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.paths.metrics))
