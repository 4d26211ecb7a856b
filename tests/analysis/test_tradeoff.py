"""Score against time and memory. Trial n took n + 1 minutes; GPU memory is 2, 3, 5 GiB for ngf 16, 32, 64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.noise import best_set
from analysis.reading import Study
from analysis.tradeoff import criteria, draw_tradeoff, front_table, memory_measure


def test_the_front_of_three_criteria(study: Study) -> None:
    # 19 (9.70, 20 min, 5 GiB), 10 (9.67, 11, 2), 4 (9.63, 5, 5), 0 (7.65, 1, 2); 14 (9.30, 15, 3) is beaten by 10.
    table = criteria(study)
    assert list(table.index[table["front"]]) == [19, 10, 4, 0]
    assert table.loc[14].to_list() == [pytest.approx(9.299, abs=1e-3), 15.0, 3.0, False]


def test_the_front_to_read_says_which_are_as_good_as_the_best(study: Study) -> None:
    table = front_table(study, best_set(study))
    assert list(table.index) == [19, 10, 4, 0]
    assert list(table["can't be told from the best"]) == ["yes", "yes", "yes", ""]
    assert list(table["minutes"]) == ["20", "11", "5", "1"]


def test_without_measured_memory_weights_are_counted(study: Study) -> None:
    assert memory_measure(study) == "GPU GiB"
    trials = study.trials.copy()
    trials.loc[trials["number"] == 0, "gpu_gib"] = np.nan  # one is enough: two measures do not mix
    partly = replace(study, trials=trials)
    assert memory_measure(partly) == "weights (M)"
    assert criteria(partly)["weights (M)"].between(47, 173).all()
    assert draw_tradeoff(partly, best_set(partly)).axes[1].get_xlabel().startswith("weights, millions")


def test_the_picture_has_the_fronts_the_band_and_all_trials(study: Study) -> None:
    found = best_set(study)
    minutes, memory = draw_tradeoff(study, found).axes
    fronts = []
    for axes, size in ((minutes, 4), (memory, 2)):
        points = {group.get_label(): group.get_offsets() for group in axes.collections}
        assert len(points["Pareto front"]) == size
        assert len(points["Pareto front"]) + len(points["beaten in both"]) == 20
        assert points["best: trial 19"][0][1] == pytest.approx(9.696, abs=1e-3)
        assert points["least work in the band: trial 10"][0][1] == pytest.approx(9.668, abs=1e-3)
        band = axes.patches[0]
        assert band.get_label() == "can't be told from the best"
        assert band.get_height() == pytest.approx(found.margin)
        fronts.append({text.get_text() for text in axes.texts})
    assert fronts == [{"0", "4", "10", "19"}, {"10", "19"}]
    assert (minutes.get_xlabel(), memory.get_xlabel()) == ("minutes of a trial, measured", "peak GPU memory, GiB")


def test_a_convention_is_called_one(study: Study) -> None:
    unknown = replace(study, reruns=study.reruns[:0])
    axes = draw_tradeoff(unknown, best_set(unknown)).axes[0]
    assert axes.patches[0].get_label() == "near the best, by convention only"
    assert "near the best (convention)" in front_table(unknown, best_set(unknown))
