"""The Pareto front, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.pareto import pareto_front


def test_two_criteria() -> None:
    # Score up, minutes down: (8, 9) is beaten by (8, 5), (4, 3) by (6, 2); the rest buy score with minutes.
    points = [(9, 10), (8, 5), (8, 9), (6, 2), (4, 3), (1, 1)]
    assert pareto_front(points, ["maximize", "minimize"]).tolist() == [True, True, False, True, False, True]


def test_the_directions_decide() -> None:
    points = [(1, 1), (2, 2)]
    assert pareto_front(points, ["minimize", "minimize"]).tolist() == [True, False]
    assert pareto_front(points, ["maximize", "maximize"]).tolist() == [False, True]
    assert pareto_front(points, ["maximize", "minimize"]).tolist() == [True, True]


def test_three_criteria() -> None:
    # The third is beaten by the first in two and equal in one; the last is the worst in two, but has the least memory.
    points = [(9, 10, 5), (9, 12, 4), (9, 11, 6), (1, 20, 1)]
    assert pareto_front(points, ["maximize", "minimize", "minimize"]).tolist() == [True, True, False, True]


def test_equal_points_stay_or_go_together() -> None:
    points = [(5, 5), (5, 5), (4, 6), (4, 6)]
    assert pareto_front(points, ["maximize", "minimize"]).tolist() == [True, True, False, False]


def test_a_point_that_equals_the_best_in_one_criterion_and_loses_in_the_other_is_beaten() -> None:
    assert pareto_front([(5, 5), (5, 6)], ["maximize", "minimize"]).tolist() == [True, False]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_not_on_it_and_beats_nothing(value: float) -> None:
    assert pareto_front([(value, 1), (1, 2)], ["maximize", "minimize"]).tolist() == [False, True]


def test_no_points() -> None:
    assert pareto_front(np.empty((0, 3)), ["maximize", "minimize", "minimize"]).tolist() == []
