"""Pairs are random, of one class, balanced in order and blind."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from analysis.user_study.assignment import Assignments, draw_allotment
from analysis.user_study.pairs import Pair, draw_names, draw_pairs, show_both_orders
from tests.analysis.user_studies import answer, rater, record
from tsvan.validation import UserError

COUNTS = {"wave": (5, 4), "run": (3, 6), "bend": (4, 4)}


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_pairs_are_different_ones_and_as_many_of_each_class() -> None:
    pairs = draw_pairs(COUNTS, 40, rng())
    assert len(set(pairs)) == 40
    assert sorted(Counter(pair.label for pair in pairs).values()) == [13, 13, 14]
    assert all(pair.a < COUNTS[pair.label][0] and pair.b < COUNTS[pair.label][1] for pair in pairs)
    assert pairs == draw_pairs(COUNTS, 40, rng())
    assert pairs != draw_pairs(COUNTS, 40, rng(1))


def test_all_pairs_of_a_class_can_be_used_and_no_more() -> None:
    everything = draw_pairs({"wave": (2, 3)}, 6, rng())
    assert set(everything) == {Pair("wave", a, b) for a in range(2) for b in range(3)}
    with pytest.raises(UserError, match="class 'wave': 2 and 3 clips make 6 different pairs, 7 are needed"):
        draw_pairs({"wave": (2, 3)}, 7, rng())


def test_every_pair_is_shown_in_both_orders() -> None:
    pairs = draw_pairs(COUNTS, 40, rng())
    names = draw_names(pairs, rng())
    showings = show_both_orders(pairs, names, rng())
    assert len({showing.id for showing in showings}) == 80
    assert Counter(showing.left_side for showing in showings) == {"a": 40, "b": 40}
    for number, pair in enumerate(pairs):
        one, other = sorted((showing for showing in showings if showing.pair == number), key=lambda x: x.left_side)
        assert (one.left_side, other.left_side) == ("a", "b")
        assert (one.left, one.right) == (other.right, other.left)
        assert one.left == names["a", pair.label, pair.a]
        assert one.right == names["b", pair.label, pair.b]
        assert one.label == other.label == pair.label
    assert any(first.pair != second.pair for first, second in pairwise(showings))


def test_names_are_random_and_tell_no_side() -> None:
    pairs = draw_pairs({"wave": (30, 30)}, 900, rng())
    names = draw_names(pairs, rng())
    assert len(set(names.values())) == 60
    assert all(len(name) == 12 and set(name) <= set("0123456789abcdef") for name in names.values())
    by_name = [side for (side, _, _), _ in sorted(names.items(), key=lambda item: item[1])]
    assert 5 < by_name[:30].count("a") < 25


def test_a_rater_gets_the_least_asked_showings_and_each_pair_once_as_long_as_that_goes() -> None:
    showings = record().showings
    drawn = [draw_allotment(showings, {}, 2, rng(seed)) for seed in range(20)]
    assert all({showing.pair for showing in showings if showing.id in ids} == {0, 1} for ids in drawn)
    assert {"".join(sorted(ids)) for ids in drawn} == {"s1s3", "s1s4", "s2s3", "s2s4"}
    assert set(draw_allotment(showings, {"s1": 1, "s3": 2}, 2, rng())) == {"s2", "s4"}
    assert sorted(draw_allotment(showings, {}, 9, rng())) == ["s1", "s2", "s3", "s4"]


def test_all_showings_are_asked_equally_often() -> None:
    study = record()
    answers = [answer(100, "s1", "left"), answer(100, "s1", "left", "told")]
    assignments = Assignments(study, answers, rng())
    study_of = {number: assignments.of(rater(number)) for number in range(5)}
    assert study_of[0] == assignments.of(rater(0))
    asked = Counter(showing for ids in study_of.values() for showing in ids)
    assert set(asked.values()) == {5}  # four showings each, all of them
