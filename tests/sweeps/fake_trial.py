"""A trial body without a trainer: writes the same files in milliseconds. `Job.body_options` names its faults."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sweeps.state.job import SCORE, TRAIN, Interrupted, Job, Outcome, Point, Stopwatch, scored_points
from tsvan.journal import Journal

DIVERGES = "diverges after its first score"
RAISES_ONCE = "raises once before it begins"
RAISES_AFTER_SCORES = "raises after each of its first three scores"
STUCK = "raises after its second score, always"
NEEDS_LARGER_SHARE = "needs a device to itself"
NEEDS_TOO_MUCH = "needs more memory than there is"
DISK_FULL = "finds a full disk while the study's folder holds `full`"


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """Score = -(lambda2 - 5)^2 + iteration / 1000.

    Options: `faults`, from the trial's number as text to one of the faults above; `step_s`, seconds of each step.
    """
    fault = job.body_options.get("faults", {}).get(str(job.number), "")
    lambda2 = job.config["loss"]["lambda2"]
    journal, watch = Journal(job.paths.metrics), Stopwatch(job.paths)
    checkpoint = job.paths.checkpoints / "iteration"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    journal.truncate(done)
    points = scored_points(journal)
    yield from points
    values = points[-1].values if points else {}
    _raise_once(job, fault)
    for target in job.score_at:
        if target <= done:
            continue
        if stop():
            raise Interrupted
        _run_out(job, fault)
        time.sleep(job.body_options.get("step_s", 0))
        journal.append(target, TRAIN, {"content/encoder": 1 / target, "rate/iterations_per_s": 1.0})
        checkpoint.write_text(str(target))
        if fault == DIVERGES and target > job.score_at[0]:
            Outcome("diverged", target, values, "content/encoder is nan").write(job.paths)
            return
        values = dict.fromkeys(job.objectives, -((lambda2 - 5) ** 2) + target / 1000)
        journal.append(target, SCORE, values, sync=True)
        watch.note()
        yield Point(target, values)
        if fault == RAISES_AFTER_SCORES and target <= job.score_at[2]:
            raise RuntimeError("out of luck again")
    Outcome("complete", job.score_at[-1], values, seconds=watch.seconds, num_clips=job.num_clips).write(job.paths)


def _raise_once(job: Job, fault: str) -> None:
    mark = Path(job.folder) / "raised"
    if fault == RAISES_ONCE and not mark.exists():
        mark.touch()
        raise RuntimeError("out of luck")


def _run_out(job: Job, fault: str) -> None:
    if fault == NEEDS_TOO_MUCH or (fault == NEEDS_LARGER_SHARE and not job.larger_share):
        raise MemoryError("Unable to allocate 9 GiB")
    if fault == STUCK and len(scored_points(Journal(job.paths.metrics))) == 2:
        raise RuntimeError("stuck")
    if fault == DISK_FULL and (job.paths.folder.parent.parent / "full").exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(job.paths.metrics))
