"""Figures: every kind of study can be drawn, and the scales put values where they belong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.figures import draw_curves, draw_history, draw_importances, draw_parallel, draw_slices
from analysis.importance import importances
from analysis.ranking import completed
from analysis.reading import Study, learning_curves, read_study
from analysis.scales import Scale, score_limits


@pytest.mark.parametrize("kind", ["whole", "one trial", "none complete", "no trials"])
def test_every_study_can_be_drawn(study: Study, tmp_path: Path, kind: str) -> None:
    chosen = {
        "whole": study.trials,
        "one trial": study.trials[:1],
        "none complete": study.trials[study.trials["state"] != "complete"],
        "no trials": study.trials[:0],
    }[kind]
    some = replace(study, trials=chosen)
    figures = [draw_history(some), draw_slices(some), draw_parallel(some), draw_curves(some, learning_curves(some))]
    for place, figure in enumerate([*figures, draw_importances(importances(some, repeats=2))]):
        figure.savefig(tmp_path / f"{place}.png", dpi=40)


def test_a_stopped_trial_does_not_set_the_scale(study: Study) -> None:
    low, high = score_limits(study)
    scores = completed(study)["score"]
    assert low < scores.min() <= scores.max() < high < 50.0


def test_a_running_study_can_be_drawn(uri: str) -> None:
    assert draw_history(read_study(uri, "young")).axes


def test_scales_place_numbers_by_size_and_choices_side_by_side() -> None:
    assert list(Scale(3, 8).share([3, 5.5, 8, 9])) == [0.0, 0.5, 1.0, 1.0]
    assert Scale(1, 100, log=True).share([10]) == pytest.approx([0.5])
    assert list(Scale(choices=(256, 512, 1024)).share([512, 1024])) == [0.5, 1.0]
    assert list(Scale(choices=(16,)).share([16])) == [0.5]
    assert [text for _, text in Scale(1, 10).ticks()] == ["1", "5.5", "10"]
