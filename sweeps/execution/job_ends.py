"""A job at both its ends: what its slot gives it, why it came back without an end, and an end before its time."""

from __future__ import annotations

from dataclasses import replace

from sweeps.execution.slots import Slot
from sweeps.state.job import Job, Outcome, Point, pruned, scored_points
from tsvan.journal import Journal


def placed(job: Job, slot: Slot | None) -> Job:
    """Note in a job, and in its file, what its slot gives it; None: it has no slot of its own."""
    if slot is None:
        return job
    gpus = slot.slots.gpus
    new = replace(
        job,
        threads=slot.slots.threads,
        memory_share=min(gpus, 1.0) or 1.0,
        device="cuda" if gpus > 0 else "cpu",
        host=slot.host,
    )
    if new != job:
        new.write()
    return new


def ended_early(job: Job, heard: Point, reason: str) -> Outcome:
    """Build the outcome of a job that ends before its time, with its last score.

    Args:
        heard: the last score that came by Ray; the job's own journal may have another.
    """
    last = max([heard, *scored_points(Journal(job.paths.metrics))], key=lambda point: point.iteration)
    return pruned(job, last, reason)


def why(job: Job, error: bool) -> str:
    """Say in a line why a job's worker came back without an end."""
    if not error:
        return "ended without an outcome"
    text = job.paths.error.read_text().strip() if job.paths.error.exists() else ""
    return text.splitlines()[-1] if text else "its worker died"
