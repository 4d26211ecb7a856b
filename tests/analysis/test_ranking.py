"""Ranking and importances of trials whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.importance import NOISE, importances
from analysis.ranking import best_trial, completed, states, stopped, trial, trials_table
from analysis.reading import Study
from tsvan.validation import UserError


def with_trials(study: Study, trials: pd.DataFrame) -> Study:
    return replace(study, trials=trials)


def minimised(study: Study) -> Study:
    objective = replace(study.config.objective, metric="kernel_distance", direction="minimize")
    return replace(study, config=replace(study.config, objective=objective))


def test_only_complete_trials_are_ranked(study: Study) -> None:
    ranked = completed(study)
    assert set(ranked["state"]) == {"complete"}
    assert ranked["score"].is_monotonic_decreasing
    assert best_trial(study)["score"] == ranked["score"].max() < 50.0  # pruned trials have 50


def test_the_lowest_is_the_best_when_it_is_to_be_minimised(study: Study) -> None:
    assert best_trial(minimised(study))["score"] == completed(study)["score"].min()


def test_a_score_that_is_not_finite_is_not_ranked(study: Study) -> None:
    trials = study.trials.copy()
    trials.loc[trials["number"] == 0, "score"] = math.nan
    assert 0 not in set(completed(with_trials(study, trials))["number"])


def test_without_a_complete_trial_there_is_no_best(study: Study) -> None:
    none = with_trials(study, stopped(study))
    with pytest.raises(UserError, match="2 pruned, 1 diverged, 1 failed"):
        best_trial(none)
    assert states(with_trials(study, study.trials[:0])) == "no trials"


def test_the_table_lists_complete_trials_best_first(study: Study) -> None:
    table = trials_table(study, completed(study))
    assert list(table.index[:4]) == [19, 10, 4, 14]
    assert list(table["inception_score"][:4]) == ["9.70", "9.67", "9.63", "9.30"]
    assert table.loc[0, ["minutes", "weights (M)", "GPU GiB", "note"]].to_list() == ["1", "48.22", "2", "table 3"]


def test_the_others_are_listed_apart_and_by_number(study: Study) -> None:
    table = trials_table(study, stopped(study))
    assert list(table.index) == [5, 9, 13, 17]
    assert table.loc[13, ["inception_score", "note"]].to_list() == ["-", "loss is nan"]
    assert "GPU GiB" not in table  # none of them was asked


def test_a_trial_is_found_by_its_number(study: Study) -> None:
    assert trial(study, 5)["state"] == "pruned"
    with pytest.raises(UserError, match="has no trial 24"):
        trial(study, 24)


def test_importances_find_what_matters_and_are_repeatable(study: Study) -> None:
    found = importances(study, repeats=5)
    assert found.table is not None
    assert found.table["setting"][0] == "content_dim"
    assert found.table["importance"].sum() == pytest.approx(1.0)
    assert (found.table["low"] <= found.table["high"]).all()
    assert set(found.table["setting"]) == {*study.parameters, NOISE}
    assert "content_dim" in found.note
    pd.testing.assert_frame_equal(found.table, importances(study, repeats=5).table)


def test_pure_noise_has_no_importance(study: Study) -> None:
    trials = study.trials.copy()
    trials["score"] = np.random.default_rng(3).normal(size=len(trials))
    assert "random numbers: none" in importances(with_trials(study, trials), repeats=5).note


def test_too_few_complete_trials_give_a_reason_and_no_numbers(study: Study) -> None:
    found = importances(with_trials(study, study.trials[:9]))
    assert found.table is None
    assert "this study has 8 of 9" in found.note


def test_equal_scores_give_a_reason_and_no_numbers(study: Study) -> None:
    assert importances(with_trials(study, study.trials.assign(score=1.0))).table is None
