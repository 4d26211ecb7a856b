"""What a study cost: trial number n took n + 1 minutes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.cost import draw_cost, spending, spending_text
from analysis.reading import Study


def test_minutes_are_summed_by_what_became_of_the_trial(study: Study) -> None:
    table = spending(study)
    last = table.iloc[-1]
    assert last["stopped early"] == 6 + 10
    assert last["diverged or failed"] == 14 + 18
    assert last["complete"] == sum(range(1, 25)) - 16 - 32
    assert table.loc[5, "complete"] == 1 + 2 + 3 + 4 + 5


def test_what_was_saved_is_the_rest_of_the_budget_at_the_same_pace(study: Study) -> None:
    # Both were stopped at 300 of 1000 iterations: 6 and 10 minutes would have become 20 and 33.3.
    assert spending(study).loc[5, "saved"] == pytest.approx(14)
    assert spending(study)["saved"].iloc[-1] == pytest.approx(16 * 7 / 3)
    assert "5.62 h: it saved 11%" in spending_text(study)  # 300 minutes spent, 37.3 saved


def test_a_study_without_early_stopping_says_so(study: Study) -> None:
    assert "None was stopped early" in spending_text(replace(study, trials=study.trials[:5]))
    assert spending_text(replace(study, trials=study.trials[:0])) == "No trials, no cost."


def test_the_picture_shows_every_trial_with_a_marker_for_its_ngf(study: Study) -> None:
    left, right = draw_cost(study).axes
    points = {found.get_label(): len(found.get_offsets()) for found in left.collections if found.get_label()[0] != "_"}
    assert {name: points[name] for name in ("ngf 16", "ngf 32", "ngf 64")} == {"ngf 16": 7, "ngf 32": 7, "ngf 64": 6}
    assert "hollow: stopped early" in points
    assert {text.get_text() for text in right.get_legend().get_texts()} == {
        "complete",
        "stopped early",
        "diverged or failed",
        "without early stopping (estimate)",
    }
    assert right.get_ylabel() == "hours, all trials together"
    line = right.lines[0].get_ydata()
    assert line[-1] == pytest.approx((300 + 16 * 7 / 3) / 60)


def test_every_study_has_a_picture(study: Study) -> None:
    for trials in (study.trials[:0], study.trials[:1], study.trials[study.trials["state"] != "complete"]):
        assert draw_cost(replace(study, trials=trials)).axes
