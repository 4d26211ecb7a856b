"""A study that is planned for hours: it fits, what is worth most comes first, and what the user set stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sweeps.commands.hours import MOST_TRIALS, PLANNED, SHORTEST, SIZES, plan_hours
from sweeps.commands.speed import Speed
from sweeps.commands.work import work
from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.search.expected_work import expected_share
from sweeps.state.hours import PlannedHours
from tsvan.validation import UserError

HOUR = Speed(3600.0, 3600.0, 0.0, "told")
"""A run of the preset's length takes an hour."""


@pytest.fixture
def paper() -> SweepConfig:
    return load("weizmann")[0]


@pytest.mark.parametrize("hours", [3, 10, 30, 48, 100, 300])
def test_the_plan_fits_into_the_hours_and_leaves_the_rest_that_is_kept_back(paper: SweepConfig, hours: float) -> None:
    assert _hours(paper, plan_hours(paper, HOUR, hours, (), 1)) <= PLANNED * hours


@pytest.mark.parametrize("hours", [10, 30])
def test_the_plan_uses_the_hours_where_trials_are_shorter_than_the_presets(paper: SweepConfig, hours: float) -> None:
    plan = plan_hours(paper, HOUR, hours, (), 1)
    assert plan.iterations < paper.budget.iterations
    assert _hours(paper, plan) >= 0.98 * PLANNED * hours


def test_more_hours_buy_longer_trials_then_more_of_them_and_then_nothing(paper: SweepConfig) -> None:
    best = SIZES[0]
    few, enough, many, all_of_them = (plan_hours(paper, HOUR, hours, (), 1) for hours in (25, 52, 62, 1000))
    for plan in (few, enough, many):
        assert (plan.top_k, plan.confirm_seeds, plan.report_seeds) == (4, 3, 5)
    assert few.trials == best.trials
    assert SHORTEST * paper.budget.iterations <= few.iterations < paper.budget.iterations
    assert enough.iterations == many.iterations == paper.budget.iterations
    assert best.trials <= enough.trials < many.trials < MOST_TRIALS
    assert all_of_them.trials == MOST_TRIALS


def test_fewer_trials_and_final_runs_come_before_trials_that_are_too_short(paper: SweepConfig) -> None:
    plan = plan_hours(paper, HOUR, 6, (), 1)
    assert plan.trials < SIZES[0].trials
    assert plan.iterations >= SHORTEST * paper.budget.iterations


def test_two_devices_do_twice_as_much(paper: SweepConfig) -> None:
    assert plan_hours(paper, HOUR, 10, (), 2) == replace(plan_hours(paper, HOUR, 20, (), 1), hours=10)


def test_what_the_user_set_stays(paper: SweepConfig) -> None:
    own = replace(paper, trials=20)
    plan = plan_hours(own, HOUR, 20, ["trials"], 1)
    assert plan.trials == 20
    fixed = plan_hours(own, HOUR, 200, ["budget.iterations", "final.report.seeds"], 1)
    assert (fixed.iterations, fixed.report_seeds) == (own.budget.iterations, own.final.report.seeds)


def test_pre_training_that_is_given_is_shortened_with_the_rest(paper: SweepConfig) -> None:
    pretrained = replace(paper, budget=replace(paper.budget, pretrain_iterations=100_000))
    plan = plan_hours(pretrained, HOUR, 20, (), 1)
    assert plan.pretrain_iterations == round(plan.iterations / 5)


def test_too_few_hours_are_refused_with_a_number_that_is_enough(paper: SweepConfig) -> None:
    short = replace(paper, budget=replace(paper.budget, iterations=100))
    with pytest.raises(UserError, match=r"--hours 0\.1 is too little: 8 trials of 10 iterations") as refused:
        plan_hours(short, HOUR, 0.1, (), 1)
    enough = float(str(refused.value).rpartition("--hours ")[2])
    assert plan_hours(short, HOUR, enough, (), 1).trials == SIZES[-1].trials


def test_early_stopping_saves_a_third_and_none_saves_nothing(paper: SweepConfig) -> None:
    schedule, stopping = paper.base.schedule, paper.scheduler
    assert expected_share(schedule, stopping, 32) == pytest.approx(0.64, abs=0.03)
    assert expected_share(schedule, replace(stopping, kind="none"), 32) == 1.0


def _hours(config: SweepConfig, plan: PlannedHours) -> float:
    """How long the planned study takes, early stopping as expected."""
    final = replace(
        config.final,
        report=replace(config.final.report, seeds=plan.report_seeds),
        confirm=replace(config.final.confirm, top_k=plan.top_k, seeds=plan.confirm_seeds),
    )
    budget = replace(config.budget, iterations=plan.iterations)
    planned = replace(config, trials=plan.trials, budget=budget, final=final)
    found = work(planned, Speed(plan.published_s, plan.largest_s, plan.clip_s, ""), 10)
    assert plan.published_s == pytest.approx(3600 * plan.iterations / config.budget.iterations)
    return (found.sweep_s + found.final_s) / 3600
