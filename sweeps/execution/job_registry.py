"""Which of Ray's trials is which job, and what became of it. Searcher, scheduler and callbacks share it.

Ray only carries jobs to machines. How a job ended is said by its folder, and by the worker's last result, which holds
the same: a folder on a shared file system may be seen late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from sweeps.execution.job_ends import ended_early, placed, why
from sweeps.execution.slots import Placement, Slot
from sweeps.execution.worker import OUTCOME, PROBLEM, read_outcome
from sweeps.state.errors import storage_error
from sweeps.state.job import Job, Outcome, Point, memory_faults, pruned, spent
from sweeps.state.retention import drop_optimizer_state

MAX_REQUEUES = 10
"""How often a job is handed out again whose worker died before it began."""

T = TypeVar("T")


@dataclass
class _Running:
    """A job that one of Ray's trials has in its hands."""

    job: Job
    point: Point | None = None
    stopped: bool = False
    began: bool = True
    blameless: bool = False


class JobRegistry:
    """The jobs in Ray's hands and those that wait to be handed out again.

    Args:
        stop: a file; while it exists, nothing more is handed out.
        say: told, in a line, what a person should know.
        check_cluster: raises ClusterLost where Ray's own processes are gone; there a dead worker says nothing of its
            job, and whoever asks Ray for another waits for a minute, and ends.
    """

    def __init__(
        self, stop: Path, say: Callable[[str], None], check_cluster: Callable[[], None] = lambda: None
    ) -> None:
        self.stop, self.say, self.check_cluster = stop, say, check_cluster
        self.again: list[Job] = []
        """Jobs to hand out before any other."""
        self.aside: list[Job] = []
        """Jobs that ran out of memory and wait for a device to themselves."""
        self.problem = ""
        """Why the study can't be written; empty while it can."""
        self.placement: Placement | None = None
        """Where jobs go; None: anywhere."""
        self.retries = 0
        """Starts of a job after its worker died or raised, with no score in between."""
        self.num_scores = 0
        """Scores beyond those that were heard before."""
        self.hold = ""
        """Why nothing is handed out for now, and what runs is let go of; empty: work goes on."""
        self._to_end: dict[str, str] = {}
        self._running: dict[str, _Running] = {}
        self._ended: dict[str, Outcome] = {}
        self._last: dict[str, Job] = {}
        self._furthest: dict[str, int] = {}
        self._failures: Counter[str] = Counter()
        self._requeues: Counter[str] = Counter()
        self._waiting = False

    def closed(self) -> bool:
        """Tell whether nothing more is handed out, by this driver."""
        return bool(self.problem) or self.stop.exists()

    def reserve(self, trial_id: str) -> bool:
        """Reserve a slot for a trial of Ray's, and tell whether there is one, or nothing more to hand out.

        Raises:
            ClusterLost: there is none, nothing runs, and Ray's own processes are gone.
        """
        if self.placement is None or self.closed() or self.hold or self.placement.take(trial_id) is not None:
            return True
        if not self._running:  # Ray Tune only asks again, and calls nobody who would notice
            self.check_cluster()
            if not self._waiting:
                self.say("  no node is left for trials; waiting for one")
                self._waiting = True
        return False

    def take(self, trial_id: str, following: Callable[[], Job | None]) -> Job | None:
        """Hand out the next job.

        Args:
            trial_id: of Ray's trial.
            following: the next new job; None: no more.
        """
        if self.closed():
            return None
        if self.hold:
            self._leave(trial_id)
            return None
        job = self._next(following)
        if job is None:
            self._leave(trial_id)
        else:
            self._waiting, job = False, placed(job, self.slot(trial_id))
            job.paths.leave.unlink(missing_ok=True)
            self._running[trial_id] = _Running(job)
            self._last[trial_id] = job
        return job

    def job(self, trial_id: str) -> Job:
        """Return the job of one of Ray's trials, also after its end."""
        return self._last[trial_id]

    def is_running(self, trial_id: str) -> bool:
        """Tell whether a trial of Ray's has a job in its hands."""
        return trial_id in self._running

    def running(self) -> list[Job]:
        """List the jobs in Ray's hands."""
        return [entry.job for entry in self._running.values()]

    def score(self, trial_id: str, point: Point) -> bool:
        """Note a score, and tell whether it is new, so that the job got further than it ever was."""
        entry = self._running[trial_id]
        entry.point = point
        new = point.iteration > self._furthest.get(entry.job.name, 0)
        if new:
            self._furthest[entry.job.name] = point.iteration
            self._failures[entry.job.name] = 0  # retries are for a job that gets nowhere, not for a long one
            self.num_scores += 1
        return new

    def stop_early(self, trial_id: str) -> None:
        """Note that a job is stopped at its last score."""
        self._running[trial_id].stopped = True

    def end(self, job: Job, reason: str) -> None:
        """Let a running job end with its last score, as soon as its worker hears of it."""
        self._to_end[job.name] = reason
        job.paths.leave.touch()

    def let_go(self) -> None:
        """Ask for all that runs back: it is saved, and handed out again when nothing is on hold."""
        for job in self.running():
            job.paths.leave.touch()

    def note_not_begun(self, trial_id: str) -> None:
        """Note that the worker died before it began with the job."""
        self._running[trial_id].began = False

    def settle(self, trial_id: str, error: bool, result: dict[str, Any] | None = None) -> Outcome | None:
        """Settle what became of a job that Ray lets go of.

        Args:
            trial_id: of Ray's trial.
            error: its worker died or raised.
            result: the worker's last one.

        Returns:
            Its end; None: it has none yet, and is handed out again now or by the next start.

        Raises:
            ClusterLost: Ray's own processes are gone; the job stays in hand, for `put_back`.
        """
        if error and not self._running[trial_id].blameless:
            self.check_cluster()
        entry = self._running.pop(trial_id)
        job, result = entry.job, result or {}
        if error and job.paths.moved.exists():
            job.paths.moved.unlink()
            self.say(f"  {job.name}: its machine is being taken away; it has saved, and goes on elsewhere")
            entry.blameless = True
            self._abandon(trial_id)
        self._leave(trial_id)
        if problem := result.get(PROBLEM):
            self.give_up(problem)
            return None
        outcome = read_outcome(result) or Outcome.read(job.paths) or self._decide(entry, error)
        if outcome is None:
            return None
        if OUTCOME not in result:
            outcome = outcome.write(job.paths)
        job.paths.leave.unlink(missing_ok=True)
        if outcome.state != "complete":  # its worker did so itself
            drop_optimizer_state(job.paths)
        self._ended[trial_id] = outcome
        return outcome

    def outcome(self, trial_id: str) -> Outcome | None:
        """Return how the job of one of Ray's trials ended; None: it has not."""
        return self._ended.get(trial_id)

    def give_up(self, problem: str) -> None:
        """Note that the study can't be written: no job is to blame, and all stop at their next score."""
        self.problem = self.problem or problem

    def guarded(self, otherwise: T, action: Callable[..., T], *arguments: Any) -> T:
        """Do something in a hook of Ray's, which would take an exception for its own; a full disk stops the study."""
        try:
            return action(*arguments)
        except Exception as error:
            problem = storage_error(error, self.stop.parent)
            if problem is None:
                raise
            self.give_up(problem)
            return otherwise

    def put_back(self, excused: bool) -> list[tuple[Job, Outcome]]:
        """Take back what Ray had in its hands: it goes on from its checkpoints.

        Args:
            excused: whatever became of the workers is no fault of the jobs; else they count as not begun.

        Returns:
            The jobs that have ended all the same.
        """
        ended = []
        for trial_id, entry in list(self._running.items()):
            entry.blameless, entry.began = excused, False
            outcome = self.guarded(None, self.settle, trial_id, True)
            if outcome is not None:
                ended.append((entry.job, outcome))
        return ended

    def excuse(self, trial_id: str) -> None:
        """Note that the death of a job's worker is no fault of the job."""
        self._running[trial_id].blameless = True

    def bring_back_aside(self) -> None:
        """Bring back the jobs that ran out of memory, as the others have ended: each with a device to itself."""
        self.again += [replace(job, larger_share=True) for job in self.aside]
        self.aside = []

    def _next(self, following: Callable[[], Job | None]) -> Job | None:
        if self.again:
            job = self.again.pop(0)
            job.write()
            return job
        while (new := following()) is not None and memory_faults(new.paths):
            self.aside.append(new)  # put aside before a driver died
        return new

    def slot(self, trial_id: str) -> Slot | None:
        """Return the slot of one of Ray's trials; None: it has none of its own."""
        return None if self.placement is None else self.placement.slot(trial_id)

    def is_stranded(self, trial_id: str) -> bool:
        """Tell whether the node that one of Ray's trials was given has gone."""
        return trial_id in self._running and self.placement is not None and self.placement.is_gone(trial_id)

    def _leave(self, trial_id: str) -> None:
        if self.placement is not None:
            self.placement.release(trial_id)

    def _abandon(self, trial_id: str) -> None:
        """Hand out nothing more on the node of a trial's slot, which is being taken away."""
        if self.placement is not None and (slot := self.slot(trial_id)) is not None and slot.node:
            self.placement.remove(slot.node)

    def _decide(self, entry: _Running, error: bool) -> Outcome | None:
        """Decide the end of a job whose worker wrote none; None: it goes on later."""
        job, point = entry.job, entry.point or Point(0, {})
        faults = memory_faults(job.paths)
        if entry.stopped:
            return pruned(job, point)
        if reason := self._to_end.get(job.name):
            return ended_early(job, point, reason)
        if faults and not job.larger_share:
            self.say(f"  {job.name} is put aside ({faults[-1]}); it goes on with a device to itself at the end")
            self.aside.append(job)
            return None
        if self.problem or (self.stop.exists() and not error):
            return None
        asked_back = not error and job.paths.leave.exists()
        if asked_back or entry.blameless or self._may_begin_again(entry):
            self.again.append(job)
            return None
        if error and self._failures[job.name] < self.retries:
            self._failures[job.name] += 1
            self.say(f"  {job.name}: {why(job, error)}; it starts again from its checkpoint")
            self.again.append(job)
            return None
        reason = f"also with a device to itself: {faults[-1]}" if len(faults) > 1 else why(job, error)
        return Outcome("failed", point.iteration, point.values, reason, spent(job.paths), job.num_clips)

    def _may_begin_again(self, entry: _Running) -> bool:
        if entry.began or self._requeues[entry.job.name] >= MAX_REQUEUES:
            return False
        self._requeues[entry.job.name] += 1
        return True
