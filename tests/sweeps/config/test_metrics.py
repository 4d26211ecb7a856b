from __future__ import annotations

import pytest

from sweeps.config.load import load
from sweeps.config.same_study import config_of
from sweeps.config.schema import Objective
from tsvan.validation import UserError

FLICKER = "metrics.flicker=tests.sweeps.own_parts:flicker"


@pytest.mark.parametrize(
    "overrides",
    [[FLICKER, "objective=flicker"], ["objective=flicker", FLICKER], [FLICKER, "objective.metric=flicker"]],
)
def test_a_metric_of_ones_own_is_the_objective_with_its_own_direction(overrides: list[str]) -> None:
    config, _ = load("mug", "smoke", overrides)
    assert config.objective == Objective("flicker", "minimize")
    assert config.directions["flicker"] == "minimize"
    assert config_of(config.to_dict(), "study.yaml") == config


def test_it_stands_beside_one_that_ships() -> None:
    both = [FLICKER, "objective=kernel_distance", "second_objective=flicker", "scheduler=none"]
    assert [one.metric for one in load("mug", "smoke", both)[0].objectives] == ["kernel_distance", "flicker"]


def test_null_drops_it_and_another_function_is_another_metric() -> None:
    assert load("mug", "smoke", [FLICKER, "metrics.flicker=null"])[0].metrics == {}
    config = load("mug", "smoke", [FLICKER, "metrics.flicker=tests.sweeps.own_parts:CONFIDENCE"])[0]
    assert config.directions["flicker"] == "maximize"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["objective=flicker"], "unknown metric 'flicker'"),
        ([FLICKER, "objective={metric: flicker, direction: maximize}"], "--set objective.direction=minimize"),
        (["metrics.flicker=tests.sweeps.own_parts:flickr"], "did you mean 'flicker'?"),
        (["metrics.flicker=3"], "metrics.flicker: "),
        (["metrics=3"], "metrics: "),
    ],
)
def test_what_is_wrong_with_one_is_a_line(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError) as error:
        load("mug", "smoke", overrides)
    assert message in str(error.value)
