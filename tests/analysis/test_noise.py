"""The trials that can't be told from the best."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis.noise import best_set, noise_text, seed_scores, set_table, shown_trials, study_noise
from analysis.ranking import completed, stopped
from analysis.reading import Study
from sweeps.final.statistics import dunnett
from tsvan.validation import UserError


def without(study: Study, *stages: str) -> Study:
    return replace(study, reruns=study.reruns[~study.reruns["stage"].isin(stages)])


def test_scores_are_grouped_by_stage_and_config(study: Study) -> None:
    groups = seed_scores(study)
    assert sorted(map(tuple, groups.values())) == [
        (10.0, 11.0, 12.0),
        (12.0, 14.0, 13.0, 17.0),
        (20.0, 21.0),
        (30.0, 32.0),
        (200.0, 200.1, 200.2),
    ]
    assert {stage for stage, _ in groups} == {"calibrate", "confirm", "report"}


def test_the_noise_is_of_the_calibration_else_of_the_confirm_stage(study: Study) -> None:
    noise = study_noise(study)
    assert noise is not None
    assert (noise.std, noise.dof) == (pytest.approx(0.1), 2)
    pooled = study_noise(without(study, "calibrate"))
    assert pooled is not None
    # Squares: 2 (30, 32), 0.5 (20, 21), over 1 + 1; both were trained with the same seeds, so that one is free.
    assert (pooled.std, pooled.dof) == (pytest.approx((2.5 / 2) ** 0.5), 1)
    assert study_noise(without(study, "calibrate", "confirm")) is None  # `report` has more clips than a trial's score


def test_the_set_is_hsus(study: Study) -> None:
    found = best_set(study)
    assert found.margin == pytest.approx(dunnett(19, 2) * 2**0.5 * 0.1)  # 20 complete trials
    scores = completed(study)["score"]
    assert found.trials == [19, 10, 4, 14] == list(completed(study)["number"][scores >= scores.max() - found.margin])
    assert "4 of 20 complete trials can't be told from the best" in found.text
    assert "standard deviation 0.1 with 2 degree" in found.text
    assert "convention" not in found.text


def test_the_cheapest_has_the_least_counted_work_whatever_the_clock_said(study: Study) -> None:
    found = best_set(study)
    assert found.cheapest == 10  # the only one with ngf 16; trial 4 took half its minutes
    assert min(found.gflop, key=lambda number: found.gflop[number]) == 10
    table = set_table(study, found)
    assert list(table.index) == found.trials
    assert table.loc[10, ["work (PFLOP)", "minutes", "note"]].to_list() == ["0.4015", "11", "cheapest"]
    assert table.loc[4, ["work (PFLOP)", "minutes", "note"]].to_list() == ["2.359", "5", ""]
    assert list(shown_trials(study, found)) == ["best: trial 19", "cheapest: trial 10"]


def test_without_a_measured_noise_it_is_a_convention_and_says_so(study: Study) -> None:
    found = best_set(without(study, "calibrate", "confirm", "report"))
    scores = completed(study)["score"]
    assert found.noise is None
    assert found.margin == pytest.approx(0.1 * (scores.max() - scores.median()))
    assert found.trials == [19, 10, 4]  # 9.696, 9.668, 9.634; the next is 9.299
    assert found.cheapest == 10
    assert found.text.startswith("**By convention, not by measurement**")
    assert "nothing is proved" in found.text
    assert "not known" in noise_text(without(study, "calibrate", "confirm", "report"))


def test_where_lower_is_better_the_set_is_at_the_other_end(study: Study) -> None:
    objective = replace(study.config.objective, metric="kernel_distance", direction="minimize")
    turned = replace(study, config=replace(study.config, objective=objective))
    found = best_set(turned)
    assert found.trials[0] == 8  # 5.295, the lowest
    assert 19 not in found.trials


def test_one_complete_trial_is_best_and_cheapest(study: Study) -> None:
    alone = replace(study, trials=study.trials[:1])
    found = best_set(alone)
    assert (found.trials, found.cheapest, found.margin) == ([0], 0, 0.0)
    assert "nothing to tell it from" in found.text
    assert list(shown_trials(alone, found)) == ["best and cheapest: trial 0"]


def test_without_a_complete_trial_there_is_no_set(study: Study) -> None:
    with pytest.raises(UserError, match="no complete trial"):
        best_set(replace(study, trials=stopped(study)))


def test_reruns_without_a_score_are_left_out(study: Study) -> None:
    reruns = pd.concat([study.reruns, study.reruns[:1].assign(score=float("nan"))])
    assert seed_scores(replace(study, reruns=reruns)) == seed_scores(study)
