"""Preferences and their bootstrap against numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.user_study.pairs import Showing
from analysis.user_study.scoring import bootstrap_percent, score
from analysis.user_study.table import lines, values
from tests.analysis.user_studies import answer, rater, record


def test_a_choice_is_side_a_s_when_a_was_on_that_side() -> None:
    """In s1 a is on the left, in s2 on the right: three of four choose a."""
    given = [answer(1, "s1", "left"), answer(1, "s2", "right"), answer(2, "s1", "left"), answer(2, "s2", "left")]
    found = score(record(), given)
    assert found.questions["plain"].overall.percent == 75.0
    assert found.questions["plain"].by_label["wave"].percent == 75.0
    assert list(found.questions) == ["plain"]
    assert found.showings_answered == 2
    assert found.left_percent == 75.0


def test_questions_and_classes_are_counted_apart() -> None:
    given = [
        answer(1, "s1", "left"),
        answer(1, "s3", "right"),
        answer(1, "s4", "left"),
        answer(1, "s1", "right", "told"),
        answer(1, "s3", "left", "told"),
    ]
    found = score(record(), given)
    plain, told = found.questions["plain"], found.questions["told"]
    assert plain.overall.percent == pytest.approx(100 / 3)
    assert {label: part.percent for label, part in plain.by_label.items()} == {"wave": 100.0, "run": 0.0}
    assert {label: part.percent for label, part in told.by_label.items()} == {"wave": 0.0, "run": 100.0}
    assert (plain.overall.answers, told.overall.answers) == (3, 2)


def test_resamples_of_two_units_are_the_three_possible_ones() -> None:
    """Units with 1 of 1 and 0 of 3 for a: both the first 100%, both the second 0%, one of each 1 of 4."""
    drawn = bootstrap_percent([1, 0], [1, 3], 4_000, seed=0)
    assert set(drawn) == {0.0, 25.0, 100.0}
    assert np.mean(drawn == 25.0) == pytest.approx(0.5, abs=0.03)


def test_few_raters_resample_pairs_and_both_orders_of_a_pair_stay_together() -> None:
    """Pair 0 is all for a, pair 1 all against: 0, 50 and 100% with chances 1/4, 1/2, 1/4, so the variance is 1250.

    If the four showings were resampled instead, it would be 100^2 x (1/4) / 4 = 625.
    """
    given = [answer(1, "s1", "left"), answer(1, "s2", "right"), answer(1, "s3", "right"), answer(1, "s4", "left")]
    found = score(record(), given, resamples=20_000)
    overall = found.questions["plain"].overall
    assert found.unit == "pairs"
    assert overall.percent == 50.0
    assert overall.variance == pytest.approx(1250, rel=0.03)
    assert overall.deviation == pytest.approx(math.sqrt(1250), rel=0.02)
    assert overall.interval == (0.0, 100.0)


def test_five_raters_are_resampled_whole() -> None:
    """Each rater is all for a or all against, 3 : 2; a mean of five draws has variance 100^2 x 0.6 x 0.4 / 5 = 480."""
    given = [
        answer(who, showing, side)
        for who in range(5)
        for showing, side in ((("s1", "left"), ("s2", "right")) if who < 3 else (("s1", "right"), ("s2", "left")))
    ]
    found = score(record(), given, resamples=20_000)
    assert found.unit == "raters"
    assert found.questions["plain"].overall.percent == 60.0
    assert found.questions["plain"].overall.variance == pytest.approx(480, rel=0.03)


def test_one_unit_has_no_variance_to_tell() -> None:
    overall = score(record(), [answer(1, "s1", "left")]).questions["plain"].overall
    assert (overall.percent, overall.variance, overall.interval, overall.deviation) == (100.0, None, None, None)


def test_the_same_seed_gives_the_same_numbers() -> None:
    given = [answer(who, f"s{1 + who % 4}", "left") for who in range(9)]
    assert score(record(), given, 500, seed=1) == score(record(), given, 500, seed=1)
    assert score(record(), given, 500, seed=1) != score(record(), given, 500, seed=2)


def test_a_rater_who_always_takes_the_left_one_is_seen() -> None:
    lazy = [answer(7, f"s{number}", "left", question) for number in range(1, 5) for question in ("plain", "told")]
    fair = [answer(1, "s1", "left"), answer(1, "s2", "right")]
    found = score(record(), [*fair, *lazy])
    assert [(habit.rater, habit.left_percent) for habit in found.raters] == [(rater(7), 100.0), (rater(1), 50.0)]
    assert not found.raters[0].one_sided  # eight answers can be chance
    assert found.left_percent == 90.0
    assert found.questions["told"].overall.percent == 50.0  # both orders: such a rater favours neither side


def test_ten_answers_on_one_side_are_marked() -> None:
    showings = tuple(Showing(f"s{number}", number, "wave", f"l{number}", f"r{number}", "a") for number in range(10))
    study = replace(record(), showings=showings)
    found = score(study, [answer(7, showing.id, "right") for showing in showings], resamples=100)
    text = "\n".join(lines(study, found))
    assert f"{rater(7)}    0.0% left of 10 answers  always right: did this rater look?" in text


def test_the_table_and_the_file_say_what_was_found() -> None:
    given = [answer(1, "s1", "left"), answer(1, "s2", "right"), answer(1, "s3", "right"), answer(1, "s4", "left")]
    found = score(record(), given, resamples=1_000)
    text = "\n".join(lines(record(), found))
    assert "preference for ours (x) over theirs (y)" in text
    (row,) = (line.split() for line in text.splitlines() if line.startswith("which video looks better"))
    assert row[4] == "50.0"
    assert row[7:] == ["0.0", "to", "100.0", "4"]
    assert "1 raters; 4 answers, to 4 of 4 pairs" in text
    assert "bootstrap over pairs, 1000 resamples" in text
    saved = values(record(), found, seed=0)
    assert saved["questions"]["plain"]["overall"]["percent"] == 50.0
    assert saved["bootstrap"] == {"unit": "pairs", "resamples": 1000, "seed": 0}
    assert saved["raters"] == [{"rater": rater(1), "answers": 4, "left_percent": 50.0, "one_sided": False}]
