"""The trials that can't be told from the best, and the Pareto front, read from MLflow.

Trial n took n + 1 minutes; GPU memory is 2, 3, 5 GiB for ngf 16, 32, 64.
"""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis.near_best import best_set, front_table, seed_scores, set_table, shown_trials, study_noise
from analysis.plotted import plotted
from analysis.ranking import completed, stopped
from analysis.reading import Study, learning_curves, read_study
from sweeps.final.statistics import dunnett
from sweeps.report.near_best import near_best_lines
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
    reruns = pd.concat([study.reruns, study.reruns[:1].assign(score=float("nan"))])
    assert seed_scores(replace(study, reruns=reruns)) == groups


def test_the_noise_is_of_the_calibration_else_of_the_confirm_stage(study: Study) -> None:
    noise = study_noise(study)
    assert noise is not None
    assert (noise.std, noise.dof) == (pytest.approx(0.1), 2)
    pooled = study_noise(without(study, "calibrate"))
    assert pooled is not None
    # Squares: 2 (30, 32), 0.5 (20, 21), over 1 + 1; both were trained with the same seeds, so that one is free.
    assert (pooled.std, pooled.dof) == (pytest.approx((2.5 / 2) ** 0.5), 1)
    assert study_noise(without(study, "calibrate", "confirm")) is None  # `report` has more clips than a trial's score


def test_the_set_is_hsus_and_its_cheapest_has_the_least_counted_work(study: Study) -> None:
    near = best_set(study)
    assert near is not None
    assert near.margin == pytest.approx(dunnett(19, 2) * 2**0.5 * 0.1)  # 20 complete trials
    scores = completed(study)["score"]
    assert near.trials == [19, 10, 4, 14] == list(completed(study)["number"][scores >= scores.max() - near.margin])
    assert near.cheapest == 10  # the only one with ngf 16; trial 4 took half its minutes
    table = set_table(study, near)
    assert list(table.index) == near.trials
    assert table.loc[10, ["work (PFLOP)", "minutes", "note"]].to_list() == ["0.4015", "11", "cheapest"]
    assert list(shown_trials(study, near)) == ["best: trial 19", "cheapest: trial 10"]
    text = "\n".join(near_best_lines(plotted(study), study_noise(study), near))
    assert "**4 of 20 complete trials can't be told from the best**: 19 (9.696), 10" in text
    assert "standard deviation of 0.1 (3 seeds of the published row, before the sweep; 2 degrees of freedom)" in text


def test_without_a_measured_noise_there_is_no_set(study: Study) -> None:
    unknown = without(study, "calibrate", "confirm", "report")
    assert best_set(unknown) is None
    assert list(shown_trials(unknown, None)) == ["best: trial 19"]
    assert "not known" in near_best_lines(plotted(unknown), None, None)[0]


def test_without_a_complete_trial_there_is_no_choice(study: Study) -> None:
    with pytest.raises(UserError, match="no complete trial"):
        best_set(replace(study, trials=stopped(study)))


def test_the_front_says_which_are_as_good_as_the_best(study: Study) -> None:
    # 19 (9.70, 20 min, 5 GiB), 10 (9.67, 11, 2), 4 (9.63, 5, 5), 0 (7.65, 1, 2); 14 (9.30, 15, 3) is beaten by 10.
    table = front_table(study, best_set(study))
    assert list(table.index) == [19, 10, 4, 0]
    assert list(table["can't be told from the best"]) == ["yes", "yes", "yes", ""]
    assert list(table["minutes"]) == ["20", "11", "5", "1"]


def test_trials_are_plotted_as_mlflow_has_them(study: Study, uri: str) -> None:
    trials = plotted(study, learning_curves(study))
    assert [trial.number for trial in trials.trials] == list(range(24))
    assert trials.complete[0].number == 19
    assert trials.trials[0].published
    assert [iteration for iteration, _ in trials.trials[5].curve] == [100, 200, 300]
    assert (trials.trials[13].state, trials.trials[13].score, trials.trials[13].curve) == ("diverged", None, ())
    assert trials.trials[4].gpu_gib == 5.0
    assert trials.trials[5].gpu_gib is None
    assert len(plotted(read_study(uri, "young")).trials) == 2
    assert plotted(read_study(uri, "empty")).trials == ()
