"""The clock of a study that was given hours."""

from __future__ import annotations

import time

import pytest

from sweeps.execution.hours_left import HoursLeft, final_seconds
from sweeps.state.hours import PlannedHours, begin_hours, is_over
from sweeps.state.job import Outcome
from sweeps.state.paths import StudyPaths

PLAN = PlannedHours(
    hours=10.0,
    trials=8,
    iterations=100,
    pretrain_iterations=None,
    top_k=1,
    confirm_seeds=3,
    report_seeds=5,
    published_s=50.0,
    largest_s=70.0,
    clip_s=0.1,
    source="told",
    trial_s=100.0,
    final_s=1200.0,
    reruns=10,
    rerun_s=120.0,
)


def test_the_final_stage_is_estimated_by_how_long_trials_took_in_fact() -> None:
    assert final_seconds(PLAN, [100.0], 1) == pytest.approx(1200)
    assert final_seconds(PLAN, [150.0, 250.0], 1) == pytest.approx(2400)
    assert final_seconds(PLAN, [200.0], 4) == pytest.approx(3 * 240)  # ten runs, four at a time


@pytest.mark.parametrize(("used_h", "over"), [(9.5, False), (9.7, True), (12.0, True)])
def test_the_sweep_ends_when_what_is_left_is_for_the_final_stage(paths: StudyPaths, used_h: float, over: bool) -> None:
    _ended(paths, 0, "complete")
    hours = _begun(paths, used_h)
    assert hours.end_sweep(workers=1) == over
    assert hours.over == is_over(paths) == over
    assert not hours.end_sweep(workers=1)  # once


def test_the_sweep_goes_on_until_a_trial_is_complete(paths: StudyPaths) -> None:
    _ended(paths, 0, "diverged")
    hours = _begun(paths, 11)
    assert not hours.end_sweep(workers=1)
    _ended(paths, 1, "complete")
    assert hours.end_sweep(workers=1)


def test_pauses_are_not_counted_and_the_time_of_earlier_drivers_is(paths: StudyPaths) -> None:
    begin_hours(PLAN, paths)
    first = HoursLeft(paths, time.monotonic() - 3600)
    first.rested_s = 1800
    first.note()
    begin_hours(PLAN, paths)
    second = HoursLeft(paths, time.monotonic() - 600)
    assert second.used_s == pytest.approx(2400, abs=60)


def test_more_hours_open_a_sweep_that_ended_for_want_of_them(paths: StudyPaths) -> None:
    _ended(paths, 0, "complete")
    assert _begun(paths, 12).end_sweep(workers=1)
    begin_hours(PLAN, paths)  # the same command again
    assert is_over(paths)
    begin_hours(PlannedHours(**{**vars(PLAN), "hours": 24.0}), paths)
    assert not is_over(paths)
    assert HoursLeft(paths, time.monotonic()).used_s == pytest.approx(12 * 3600, abs=60)


def test_without_hours_the_sweep_takes_as_long_as_it_takes(paths: StudyPaths) -> None:
    _ended(paths, 0, "complete")
    begin_hours(None, paths)
    assert not paths.hours.exists()
    assert not HoursLeft(paths, time.monotonic() - 1e9).end_sweep(workers=1)
    assert _begun(paths, 12).end_sweep(workers=1)
    begin_hours(None, paths)  # the command leaves them out
    assert not is_over(paths)
    assert not HoursLeft(paths, time.monotonic()).end_sweep(workers=1)


def _begun(paths: StudyPaths, used_h: float) -> HoursLeft:
    begin_hours(PLAN, paths)
    return HoursLeft(paths, time.monotonic() - used_h * 3600)


def _ended(paths: StudyPaths, number: int, state: str) -> None:
    folder = paths.trial(number)
    folder.folder.mkdir(parents=True)
    Outcome(state, 100, {"inception_score": 1.0}, seconds=100.0).write(folder)  # type: ignore[arg-type]
