"""Ranking and importances of trials whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.importance import NOISE, importances
from analysis.ranking import Tolerance, best_trial, completed, near_best, seed_spread, states, tolerance, trials_table
from analysis.reading import Study
from tsvan.strict import UserError


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
    stopped = with_trials(study, study.trials[study.trials["state"] != "complete"])
    with pytest.raises(UserError, match="2 pruned, 1 diverged, 1 failed"):
        best_trial(stopped)
    assert near_best(stopped).empty
    assert states(with_trials(study, study.trials[:0])) == "no trials"


def test_the_spread_between_seeds_is_pooled_over_configs(study: Study) -> None:
    assert seed_spread(study) == pytest.approx(1.0)  # 100, 101, 102
    pairs = [("report", "a", 1.0), ("report", "a", 3.0), ("report", "b", 10.0), ("report", "b", 14.0)]
    rows = [*pairs, ("confirm", "a", 9.0)]
    reruns = pd.DataFrame(rows, columns=["stage", "config", "score"])
    assert seed_spread(replace(study, reruns=reruns)) == pytest.approx(math.sqrt((2 + 8) / 2))
    assert seed_spread(replace(study, reruns=reruns[:1])) is None


def test_the_tolerance_is_measured_or_said_to_be_a_convention(study: Study) -> None:
    assert tolerance(study).value == pytest.approx(1.96 * math.sqrt(2))
    assert tolerance(study).text.startswith("measured")
    alone = replace(study, reruns=study.reruns[:0])
    scores = completed(study)["score"]
    assert tolerance(alone).value == pytest.approx(0.1 * (scores.max() - scores.median()))
    assert tolerance(alone).text.startswith("by convention")


def test_trials_near_the_best_are_those_within_the_tolerance(study: Study) -> None:
    scores = completed(study)["score"].to_numpy()
    gap = float(scores[0] - scores[2])
    assert len(near_best(study, Tolerance(gap + 1e-9, ""))) == 3
    assert len(near_best(study, Tolerance(0.0, ""))) == 1


def test_the_table_lists_complete_trials_first(study: Study) -> None:
    table = trials_table(study)
    assert len(table) == len(study.trials)
    assert list(table["state"][:20]) == ["complete"] * 20
    assert table.loc[13, "note"] == "loss is nan"
    assert table.loc[0, "note"] == "table 3"


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
