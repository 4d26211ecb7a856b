"""What a driver does with a queue, one step each; and what becomes of its folder."""

from __future__ import annotations

from typing import Any

from sweeps.search.trial_queue import SweepQueue
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import StudyPaths


def finish(queue: SweepQueue, job: Job, state: Any, value: float) -> None:
    """End a job as its process would."""
    values = dict.fromkeys(job.objectives, value)
    outcome = Outcome(
        state, job.score_at[-1], values if state != "failed" else {}, "" if state == "complete" else "why"
    )
    outcome.write(job.paths)
    queue.finished(job, outcome)


def take(queue: SweepQueue) -> Job:
    job = queue.next()
    assert job is not None
    return job


def as_if_moved(paths: StudyPaths) -> StudyPaths:
    """A copy that does not know of its original, as after a move."""
    lines = paths.config.read_text().splitlines(keepends=True)
    paths.config.write_text("".join(line for line in lines if not line.startswith("folder:")))
    return paths
