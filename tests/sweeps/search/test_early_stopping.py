from __future__ import annotations

from dataclasses import replace

import pytest

from sweeps.config.schema import Objective, SchedulerConfig
from sweeps.search.early_stopping import EarlyStoppingRule, rung_points, save_points, score_points
from tsvan.config import ScheduleConfig

PAPER = ScheduleConfig(iterations=500_000, pretrain_iterations=300_000)


def test_scores_come_every_tenth_of_the_joint_phase_after_pretraining() -> None:
    assert score_points(PAPER)[:2] == (350_000, 400_000)
    assert score_points(PAPER)[-1] == 800_000
    assert score_points(ScheduleConfig(iterations=13)) == (2, 3, 4, 6, 7, 8, 10, 11, 12, 13)


def test_checkpoints_are_written_during_pretraining_too() -> None:
    points = save_points(PAPER)
    assert points[:6] == (50_000, 100_000, 150_000, 200_000, 250_000, 350_000)
    assert set(score_points(PAPER)) <= set(points)


def test_rungs_count_our_iteration_from_the_end_of_pretraining() -> None:
    assert rung_points(PAPER, SchedulerConfig()) == (450_000, 700_000)
    assert rung_points(PAPER, SchedulerConfig(kind="none")) == ()


@pytest.mark.parametrize("iterations", [10, 11, 13, 30, 997])
def test_rungs_are_scores_and_never_the_last(iterations: int) -> None:
    schedule = replace(PAPER, iterations=iterations, pretrain_iterations=7)
    rungs = rung_points(schedule, SchedulerConfig())
    assert set(rungs) < set(score_points(schedule)[:-1])
    assert rungs[0] >= 7 + 0.3 * iterations - 1e-9


def test_asha_keeps_the_best_third_of_those_seen_so_far() -> None:
    rule = EarlyStoppingRule((3, 8), reduction=3, objective=Objective(direction="maximize"))
    assert rule.goes_on(0, 3, 1.0)
    assert not rule.goes_on(1, 3, 0.5)
    assert rule.goes_on(2, 3, 2.0)
    assert rule.goes_on(3, 3, 1.5)  # second of four: ceil(4 / 3) = 2 go on
    assert not rule.goes_on(4, 3, 1.2)
    assert rule.goes_on(1, 4, -9.0)  # no rung


def test_lower_is_better_where_it_is_minimised() -> None:
    rule = EarlyStoppingRule((3,), reduction=2, objective=Objective(direction="minimize"))
    assert rule.goes_on(0, 3, 1.0)
    assert not rule.goes_on(1, 3, 1.1)
    assert rule.goes_on(2, 3, 0.9)


def test_a_trial_that_passed_a_rung_is_not_judged_there_again() -> None:
    rule = EarlyStoppingRule((3,), reduction=3, objective=Objective(direction="maximize"))
    rule.record(0, 3, 1.0)
    rule.record(1, 3, 2.0)
    assert rule.goes_on(0, 3, 1.0)


def test_hyperband_brackets_skip_the_first_rungs() -> None:
    config = SchedulerConfig(kind="hyperband", reduction=2)
    rule = EarlyStoppingRule.of(ScheduleConfig(iterations=10), config, Objective("inception_score"))
    assert rule.brackets == 3
    for number in range(3):
        assert rule.goes_on(number, 3, 1.0)
    assert not rule.goes_on(3, 3, 0.0)  # bracket 0 judges at 3
    assert rule.goes_on(4, 3, 0.0)  # bracket 1 from 8 on
    assert rule.goes_on(1, 8, 1.0)
    assert not rule.goes_on(4, 8, 0.0)
    assert rule.goes_on(5, 8, -1.0)  # bracket 2 never
