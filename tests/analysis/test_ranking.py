"""Ranking of trials whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

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
