"""What users asked of a study while it runs, as its driver follows it. Ray is not imported here."""

from __future__ import annotations

import time
from collections.abc import Callable

from sweeps.execution.hours_left import OVER, HoursLeft
from sweeps.state.inbox import Inbox, Instruction, additions, is_paused, workers_asked
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import shown_command
from tsvan.terminal import counted

STOPPED = "stopped by its user"
PAUSED, OTHER_WORKERS = "paused", "another number of workers"
_EVERY_S = 0.5


class Steering:
    """The instructions of a study's users, and what of them is to be done now.

    Args:
        paths: of the study.
        say: told, in a line, what is followed.
        own_workers: trials at a time by the study's command; None: as many as fit.
        hours: that the study was given; they are not counted while it is paused.
    """

    def __init__(
        self, paths: StudyPaths, say: Callable[[str], None], own_workers: int | None, hours: HoursLeft
    ) -> None:
        self._paths, self._say, self._own_workers, self._hours = paths, say, own_workers, hours
        self._inbox = Inbox(paths)
        self._seen: list[Instruction] = self._inbox.instructions()
        self.workers_now = self.workers_asked
        """Trials at a time that the driver has arranged for."""

    def look(self) -> bool:
        """Read what is new, and tell whether a trial was added."""
        before, self._seen = len(self._seen), self._inbox.instructions()
        new = self._seen[before:]
        for one in new:
            self._say(f"  asked by a user: {one}")
        for one in self._waiting("stop"):
            self._answer_stop(one)
        return bool(additions(new))

    @property
    def hold(self) -> str:
        """Return why no trial is to run now: the study is paused, or it is to have other workers; empty: let them."""
        if is_paused(self._seen):
            return PAUSED
        return OTHER_WORKERS if self.workers_asked != self.workers_now else ""

    @property
    def workers_asked(self) -> int | None:
        """Return how many trials at a time are wanted; None: as many as fit."""
        return workers_asked(self._seen) or self._own_workers

    def reason_to_end(self, job: Job) -> str:
        """Return why a job is to end before its time; empty: it is not."""
        if job.stage != "sweep":
            return ""
        if any(one.kind == "stop" and one.trial == job.number for one in self._seen):
            return STOPPED
        return OVER if self._hours.over else ""

    def end_sweep(self, workers: int) -> bool:
        """Tell, once, that no more trials are to begin, as the hours that are left are those of the final stage."""
        self._hours.note()
        if not self._hours.end_sweep(workers):
            return False
        self._say("  the hours that are left are those of the final stage: the sweep ends now")
        return True

    def await_resume(self, closed: Callable[[], bool]) -> None:
        """Wait while the study is paused.

        Args:
            closed: the study is to stop; nobody waits any longer.
        """
        if not is_paused(self._seen):
            return
        way_on = shown_command(["python", "tune_runner.py", "resume", "--out", str(self._paths.root)])
        self._say(f"paused by its user, nothing runs and all is saved; goes on with: {way_on}")
        self._answer("pause", "nothing runs, all is saved")
        since = time.monotonic()
        while is_paused(self._seen) and not closed():
            time.sleep(_EVERY_S)
            self.look()
        self._hours.rested_s += time.monotonic() - since
        if not closed():
            self._say("resumed by its user")

    def arranged(self, workers: int) -> None:
        """Hear that the driver has arranged for the workers that were asked for."""
        if self.workers_asked != self.workers_now:
            self._say(f"{counted(workers, 'trial')} at a time from now on")
        self.workers_now = self.workers_asked
        self._answer("workers", f"{workers} at a time")
        self._answer("pause", "taken back before it was followed")
        self._answer("resume", "the study goes on")

    def _answer_stop(self, one: Instruction) -> None:
        assert one.trial is not None
        outcome = Outcome.read(self._paths.trial(one.trial))
        if outcome is not None:
            self._inbox.answer(one.number, f"{outcome.state} at iteration {outcome.iteration}")

    def _answer(self, kind: str, text: str) -> None:
        for one in self._waiting(kind):
            self._inbox.answer(one.number, text)

    def _waiting(self, kind: str) -> list[Instruction]:
        return [one for one in self._seen if one.kind == kind and self._inbox.answer_to(one) is None]
