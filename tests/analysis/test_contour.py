"""The score over two settings. The truth: content_dim matters most, lambda2 a little, the others not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.contour import SURFACE_TRIALS, Surface, contour_settings, draw_contour, fit_surface, numeric_settings
from analysis.importance import Importances, importances
from analysis.ranking import completed, stopped
from analysis.reading import Study
from sweeps.config.schema import Prior


def grid(size: int = 5) -> Surface:
    return Surface(np.linspace(0, 1, size), np.linspace(0, 1, size), np.zeros((1, 1)), 0.0)


def test_the_two_most_important_settings_are_taken(study: Study) -> None:
    names = contour_settings(study, importances(study, repeats=3))
    assert names is not None
    assert names[0] == "content_dim"
    assert contour_settings(study, Importances(None, "")) == ("lambda2", "ngf")  # in the space's order


def test_only_settings_with_an_order_have_a_place(study: Study) -> None:
    space = {"mask": Prior(values=(True, False)), "lambda2": study.config.space["lambda2"]}
    some = replace(study, config=replace(study.config, space=space))
    assert numeric_settings(some) == ["lambda2"]
    assert contour_settings(replace(some, trials=study.trials[:0].assign(mask=[])), Importances(None, "")) is None
    assert "fewer than two settings" in draw_contour(some, None).axes[0].texts[0].get_text()


def test_the_surface_finds_a_plane_and_leaves_noise_out() -> None:
    draws = np.random.default_rng(0)
    x, y = draws.random(60), draws.random(60)
    truth = 3 * x + y
    found = fit_surface(x, y, truth + draws.normal(0, 0.1, 60), grid())
    wanted = 3 * found.x[None, :] + found.y[:, None]
    known = np.isfinite(found.score)
    assert known.mean() > 0.8
    assert np.abs(found.score - wanted)[known].max() < 0.25
    assert found.explained == pytest.approx(1 - 0.01 / (truth.var() + 0.01), abs=0.03)


def test_a_score_of_pure_noise_is_not_explained() -> None:
    draws = np.random.default_rng(0)
    assert fit_surface(draws.random(40), draws.random(40), draws.normal(size=40), grid()).explained < 0.1


def test_where_no_trial_is_near_there_is_no_surface() -> None:
    draws = np.random.default_rng(0)
    x, y = draws.random(30) * 0.3, draws.random(30)
    found = fit_surface(x, y, np.sin(25 * x), grid())
    assert np.isnan(found.score[:, -1]).all()
    assert np.isfinite(found.score[2, 0])


def test_the_picture_has_every_trial_and_bands_for_choices(study: Study) -> None:
    figure = draw_contour(study, ("content_dim", "lambda2"))
    axes = figure.axes[0]
    points = {group.get_label(): group for group in axes.collections if not group.get_label().startswith("_")}
    counts = {name: len(group.get_offsets()) for name, group in points.items()}
    assert counts == {"complete": 20, "stopped early": 2, "diverged or failed": 2, "best": 1}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("content_dim", "lambda2")
    assert [label.get_text() for label in axes.get_xticklabels()] == ["256", "512", "1024"]
    surface = axes.collections[0].get_array()
    assert surface.shape == (80, 3)
    assert np.diff(surface.mean(axis=0)).tolist() == pytest.approx([2, 2], abs=0.3)  # the truth: 2 more a doubling
    assert "20 complete trials" in figure.get_suptitle()
    colours = points["complete"].get_array()
    assert sorted(colours) == sorted(completed(study)["score"])


def test_settings_that_explain_nothing_have_points_alone(study: Study) -> None:
    figure = draw_contour(study, ("lambda2", "lambda5_lower"))
    assert figure.get_suptitle().startswith("Points alone: a surface over these two settings predicts 0%")


def test_too_few_complete_trials_have_points_alone_and_a_reason(study: Study) -> None:
    few = replace(study, trials=study.trials[:12])  # two of them pruned
    figure = draw_contour(few, ("content_dim", "lambda2"))
    assert f"10 of 12 trials are complete, and a surface through fewer than {SURFACE_TRIALS}" in figure.get_suptitle()
    assert len(figure.axes[0].collections[-2].get_offsets()) == 10


def test_every_study_has_a_picture(study: Study) -> None:
    same = study.trials.assign(lambda2=5.0)
    assert "lambda2 has one value" in draw_contour(replace(study, trials=same), ("ngf", "lambda2")).get_suptitle()
    for trials in (study.trials[:0], study.trials[:1], stopped(study)):
        assert draw_contour(replace(study, trials=trials), ("ngf", "lambda2")).axes
