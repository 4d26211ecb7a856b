from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sweeps.config.load import load
from sweeps.config.schema import Objective
from sweeps.objective import choose
from sweeps.scorer import Terms, judge
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.evidence import Gap
from tsvan.scoring.labels import Head
from tsvan.scoring.sensitivity import KINDS, Sensitivity
from tsvan.validation import UserError

ORDER = ("inception_score", "kernel_distance")
TERMS = Terms("python tune_runner.py --dataset weizmann")


def sensitivity(**errors: tuple[float, float]) -> Sensitivity:
    """By how many standard errors static and shuffled copies are worse, by metric."""
    gaps = {name: {"static": Gap(one, 1.0), "shuffled": Gap(two, 1.0)} for name, (one, two) in errors.items()}
    rows = {kind: dict.fromkeys(errors, 0.0) for kind in KINDS}
    return Sensitivity(rows, 30, 15, "hash", gaps, 28, "video", {"fvd_i3d": "there is no I3D file"})


def scorer(accuracy: float = 0.9) -> Scorer:
    heads = (Head("class", 4), Head("frame step", 4))
    accuracies = {"class": accuracy, "frame step": 0.3}
    return cast(Scorer, SimpleNamespace(scheme=SimpleNamespace(heads=heads), accuracies=accuracies))


def test_auto_takes_the_first_of_the_order_that_passes_and_says_why() -> None:
    choice = choose(Objective(), ORDER, sensitivity(inception_score=(5, 2), kernel_distance=(4, 3)))
    assert choice is not None
    assert (choice.objective, choice.weak) == (Objective("kernel_distance", "minimize"), "")
    assert choice.why == (
        "kernel_distance (auto: the first of inception_score, kernel_distance that passes): broken clips are worse by "
        "4.0 (static) and 3.0 (shuffled) standard errors; not inception_score: broken clips are worse by 5.0 (static) "
        "and 2.0 (shuffled) standard errors"
    )
    first = choose(Objective(), ORDER, sensitivity(inception_score=(5, 3.1), kernel_distance=(4, 9)))
    assert first is not None
    assert first.objective.metric == "inception_score"


def test_without_one_that_passes_the_nearest_is_weak() -> None:
    choice = choose(Objective(), ORDER, sensitivity(inception_score=(9, -2), kernel_distance=(2.9, 2.5)))
    assert choice is not None
    assert choice.objective.metric == "kernel_distance"
    assert "none of inception_score, kernel_distance passes" in choice.why
    assert "3 are needed" in choice.weak


def test_what_is_asked_for_is_taken_and_weak_where_it_does_not_pass() -> None:
    asked = Objective("inception_score", "maximize")
    choice = choose(asked, ORDER, sensitivity(inception_score=(9, -2), kernel_distance=(9, 9)))
    assert choice is not None
    assert choice.objective == asked
    assert choice.weak
    assert choose(Objective("fvd_i3d", "minimize"), ORDER, sensitivity(kernel_distance=(9, 9))) is None


@pytest.mark.parametrize(
    ("overrides", "found", "way_on"),
    [
        ([], {"inception_score": (1, 1), "kernel_distance": (2, 2)}, "--allow-weak-objective"),
        ([], {"inception_score": (1, 1), "frechet_distance": (9, 4)}, "--set objective=frechet_distance"),
        (
            ["objective=inception_score"],
            {"inception_score": (1, 1), "kernel_distance": (4, 4)},
            "--set objective=kernel_distance",
        ),
    ],
)
def test_a_study_that_no_metric_can_steer_is_refused_with_a_command(
    overrides: list[str], found: dict[str, tuple[float, float]], way_on: str
) -> None:
    config, seen = load("weizmann", overrides=overrides)[0], sensitivity(**found)
    with pytest.raises(UserError) as error:
        judge(config, scorer(), seen, TERMS)
    assert str(error.value).endswith(f": {TERMS.command} {way_on}")
    assert "\n" not in str(error.value)
    for terms in (replace(TERMS, allow_weak=True), replace(TERMS, begun=True)):
        choices, warnings = judge(config, scorer(), seen, terms)
        assert [choice.weak for choice in choices] == warnings != []
    lenient = load("weizmann", "smoke", overrides)[0]
    assert judge(lenient, scorer(), seen, TERMS)[1] != []


def test_a_metric_that_is_not_measured_is_refused_even_with_the_flag() -> None:
    config = replace(load("weizmann")[0], objective=Objective("fvd_i3d", "minimize"))
    with pytest.raises(UserError, match=r"there is no I3D file; choose another: .* --set objective=kernel_distance$"):
        judge(config, scorer(), sensitivity(kernel_distance=(4, 4)), replace(TERMS, allow_weak=True))


def test_the_floor_is_for_classes_and_ends_with_a_command() -> None:
    config, seen = load("weizmann")[0], sensitivity(kernel_distance=(4, 4), inception_score=(4, 4))
    assert judge(config, scorer(0.81), seen, TERMS)[1] == []
    with pytest.raises(UserError, match=r"class is 0\.777, below the floor .* --set scoring\.accuracy_floor=0\.77$"):
        judge(config, scorer(0.777), seen, TERMS)


def test_two_objectives_are_judged_each() -> None:
    overrides = ["objective=inception_score", "second_objective=kernel_distance", "scheduler.kind=none"]
    config: Any = load("weizmann", overrides=overrides)[0]
    passing, weak = (
        sensitivity(inception_score=(4, 4), kernel_distance=(4, 4)),
        sensitivity(inception_score=(4, 4), kernel_distance=(4, 1)),
    )
    assert [choice.objective for choice in judge(config, scorer(), passing, TERMS)[0]] == list(config.objectives)
    with pytest.raises(UserError, match=r"^kernel_distance does not tell"):
        judge(config, scorer(), weak, TERMS)
