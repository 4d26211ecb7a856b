"""`stages/hours.json`: a study that was given hours, what was planned for them, and how many are used up."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

from sweeps.state.paths import StudyPaths
from tsvan.files import write_atomically
from tsvan.state_file import read_state

PLANNED_AGAIN = "the study's command plans again, and counts its hours from now on"


@dataclass(frozen=True)
class PlannedHours:
    """The hours of a study, and the plan that was made for them from measured times.

    Args:
        hours: of this machine's time, from the start of the first driver that was given them; pauses and the time
            without a driver are not counted. None: the study has as long as it takes.
        trials, iterations, pretrain_iterations: of the sweep.
        top_k, confirm_seeds, report_seeds: of the final stage; a `top_k` of 1 is no confirm stage.
        published_s, largest_s: seconds of a training run of so many iterations with the published and with the largest
            setting, measured.
        clip_s: seconds to generate a clip, measured.
        source: how they were measured, for people.
        trial_s, final_s: seconds of a whole trial, and of the final stage with one run at a time, by these.
        reruns: how many runs the final stage has.
        rerun_s: seconds of one of them, the mean.
        used_s: seconds used up by earlier drivers and by this one.
        over: the sweep ended for want of hours.
    """

    hours: float | None
    trials: int
    iterations: int
    pretrain_iterations: int | None
    top_k: int
    confirm_seeds: int
    report_seeds: int
    published_s: float
    largest_s: float
    clip_s: float
    source: str
    trial_s: float
    final_s: float
    reruns: int
    rerun_s: float
    used_s: float = 0.0
    over: bool = False

    def write(self, paths: StudyPaths) -> PlannedHours:
        """Write the plan, atomically, and return it."""
        write_atomically(paths.hours, json.dumps(asdict(self), indent=1))
        return self

    @classmethod
    def read(cls, paths: StudyPaths) -> PlannedHours | None:
        """Read the plan; None: the study was given no hours. Raises UserError: the file is damaged."""
        return read_state(paths.hours, cls, PLANNED_AGAIN)


def begin_hours(plan: PlannedHours | None, paths: StudyPaths) -> None:
    """Note the hours that a driver is given; those that a study had before and is not given now count no more."""
    before = PlannedHours.read(paths)
    if plan is not None:
        same = before is not None and before.hours == plan.hours
        used_s = 0.0 if before is None else before.used_s
        replace(plan, used_s=used_s, over=before.over if before is not None and same else False).write(paths)
    elif before is not None and before.hours is not None:
        replace(before, hours=None, over=False).write(paths)


def is_over(paths: StudyPaths) -> bool:
    """Tell whether the study's sweep ended for want of hours."""
    found = PlannedHours.read(paths)
    return found is not None and found.over
