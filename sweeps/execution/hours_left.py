"""The clock of a study that was given hours: how many are used up, and when the sweep must end for the final stage."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path

from sweeps.state.hours import PlannedHours
from sweeps.state.job import Outcome
from sweeps.state.paths import StudyPaths, TrialPaths

OVER = "stopped as the hours of the study are used up"
_NOTE_S = 10.0


class HoursLeft:
    """The hours of a study, counted while this driver works.

    Args:
        paths: of the study; its plan is read from there, and the hours used up are noted there.
        since: when this driver began, by `time.monotonic()`.
    """

    def __init__(self, paths: StudyPaths, since: float) -> None:
        self._paths, self._since = paths, since
        self._plan = PlannedHours.read(paths)
        self._noted = -math.inf
        self._ends: dict[Path, Outcome] = {}
        self.rested_s = 0.0
        """Seconds that this driver waited while the study was paused: they are not counted."""

    @property
    def over(self) -> bool:
        """Tell whether the sweep ended for want of hours."""
        return self._plan is not None and self._plan.over

    @property
    def used_s(self) -> float:
        """Return the seconds used up by all drivers."""
        before = 0.0 if self._plan is None else self._plan.used_s
        return before + time.monotonic() - self._since - self.rested_s

    def note(self) -> None:
        """Write the used hours down, now and then: a driver that is killed takes no more than seconds with it."""
        if self._plan is None or time.monotonic() - self._noted < _NOTE_S:
            return
        self._noted = time.monotonic()
        replace(self._plan, used_s=round(self.used_s, 1)).write(self._paths)

    def end_sweep(self, workers: int) -> bool:
        """Tell whether the sweep has to end now, so that the final stage comes in time; true once, then it is over.

        Without a complete trial there would be nothing to end with: it goes on until there is one.

        Args:
            workers: runs at a time.
        """
        plan = self._plan
        if plan is None or plan.hours is None or plan.over:
            return False
        trials = self._complete_seconds()
        if not trials or self.used_s + final_seconds(plan, trials, workers) < plan.hours * 3600:
            return False
        self._plan = replace(plan, over=True)
        replace(self._plan, used_s=round(self.used_s, 1)).write(self._paths)
        return True

    def _complete_seconds(self) -> list[float]:
        """List how long each complete trial took; an end is read once, as it is never replaced."""
        for folder in self._paths.root.glob("trials/*"):
            if folder not in self._ends and (outcome := Outcome.read(TrialPaths(folder))) is not None:
                self._ends[folder] = outcome
        return [outcome.seconds for outcome in self._ends.values() if outcome.state == "complete"]


def final_seconds(plan: PlannedHours, trials: list[float], workers: int) -> float:
    """Estimate how long the final stage will take, by how long the complete trials took in fact.

    Args:
        trials: seconds of each complete trial, as many at a time as there are workers.
    """
    slower = sum(trials) / len(trials) / plan.trial_s if plan.trial_s > 0 else 1.0
    return math.ceil(plan.reruns / max(workers, 1)) * plan.rerun_s * slower
