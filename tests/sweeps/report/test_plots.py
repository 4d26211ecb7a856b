"""Plots of trials whose truth is known: content_dim matters most, lambda2 a little, the others not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import optuna
import pytest

from sweeps.config.load import load
from sweeps.report.cost import pareto_front, plot_cost, spending
from sweeps.report.importance import NOISE, importances, most_important, plot_importances
from sweeps.report.learning_curves import plot_learning_curves
from sweeps.report.plots import (
    plot_best_so_far,
    plot_contour,
    plot_parallel,
    plot_seeds,
    plot_slices,
)
from sweeps.report.plotted import PlottedStudy, PlottedTrial, read_trials
from sweeps.state.job import Outcome
from sweeps.state.paths import StudyPaths
from tests.sweeps.report.final_results import final
from tests.sweeps.studies import job_maker
from tsvan.journal import Journal

CONFIG = load("weizmann", "paper", ["budget.iterations=1000"])[0]


def made(number: int, state: str, draws: np.random.Generator) -> PlottedTrial:
    params = {
        "lambda2": float(draws.uniform(3, 8)),
        "ngf": int(draws.choice([16, 32, 64])),
        "content_dim": [256, 512, 1024][number % 3],
        "lambda5_lower": float(draws.uniform(1, 10)),
        "lambda5_ratio": float(draws.uniform(5, 10)),
    }
    score = 5.0 + {256: 0.0, 512: 2.0, 1024: 4.0}[params["content_dim"]] + 0.1 * params["lambda2"]
    last = {"complete": 1000, "pruned": 300}.get(state, 0)
    score = 50.0 if state == "pruned" else score  # of fewer iterations: it must set no scale and win nothing
    curve = tuple((step, score * step / last) for step in range(100, last + 1, 100)) if last else ()
    origin = "table 3" if number == 0 else "sampler"
    shown = score if curve else None
    trial = PlottedTrial(number, state, params, shown, last, 60.0 * (number + 1), origin, "", curve)
    return replace(trial, published=number == 0)


@pytest.fixture(scope="module")
def study() -> PlottedStudy:
    """24 trials, of which 5 and 9 were stopped early, 13 diverged and 17 is at work."""
    draws, states = np.random.default_rng(0), {5: "pruned", 9: "pruned", 13: "diverged", 17: "running"}
    return PlottedStudy(CONFIG, tuple(made(n, states.get(n, "complete"), draws) for n in range(24)))


def numbers(figure: object, name: str) -> list[int]:
    return [n for trace in figure.data if trace.name == name for n in (trace.customdata or ())]  # type: ignore[attr-defined]


def test_the_history_has_every_trial_under_its_own_number(study: PlottedStudy) -> None:
    figure = plot_best_so_far(study)
    assert numbers(figure, "complete") == [n for n in range(24) if n not in (5, 9, 13, 17)]
    assert numbers(figure, "stopped early") == [5, 9]
    low, high = figure.layout.yaxis.range
    assert high < 50
    hollow = next(trace for trace in figure.data if trace.name == "stopped early")
    assert all(low < y < high for y in hollow.y)  # on the edge, not beyond it
    assert "trial 5" in hollow.text[0]
    assert "lambda2" in hollow.text[0]


def test_learning_curves_have_the_stopped_trials_in_them_to_their_last_score(study: PlottedStudy) -> None:
    traces = {trace.name: trace for trace in plot_learning_curves(study).data}
    assert list(traces["trial 5, stopped early"].x) == [100, 200, 300]
    assert traces["trial 5, stopped early"].line.dash == "dot"
    assert len(traces) == 22
    assert list(traces)[-1].endswith(", best")  # drawn last, above the others


def test_many_trials_are_a_line_for_each_state_with_gaps_between_them_and_the_best_by_itself(
    study: PlottedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.report.learning_curves.MOST_NAMES", 10)
    figure = plot_learning_curves(study)
    best = study.complete[0]
    assert [trace.name for trace in figure.data] == ["stopped early (2)", "complete (19)", f"{best.title}, best"]
    stopped = figure.data[0]
    assert list(stopped.x) == [100, 200, 300, None, 100, 200, 300]
    assert list(stopped.customdata) == [5, 5, 5, None, 9, 9, 9]  # a hovered trial is shown in all plots
    assert "trial 9" in stopped.text[-1]
    assert sorted(set(figure.data[1].customdata) - {None}) == sorted({trial.number for trial in study.complete[1:]})


def test_axes_of_choices_show_the_choices(study: PlottedStudy) -> None:
    figure = plot_slices(study)
    axes = {axis.title.text: axis for axis in figure.select_xaxes()}
    assert list(axes["ngf"].categoryarray) == ["16", "32", "64"]
    assert axes["ngf"].type == "category"
    assert axes["lambda2"].type is None
    assert len(numbers(figure, "complete")) == 20 * 5
    assert numbers(figure, "stopped early") == [5, 9] * 5


@pytest.mark.parametrize("kind", ["whole", "one trial", "none complete", "no trials"])
def test_every_study_can_be_plotted(study: PlottedStudy, kind: str) -> None:
    some = replace(study, trials={
        "whole": study.trials, "one trial": study.trials[:1], "none complete": study.others, "no trials": (),
    }[kind])  # fmt: skip
    found = importances(some, repeats=2)
    figures = [plot_best_so_far(some), plot_slices(some), plot_parallel(some), plot_learning_curves(some)]
    figures += [plot_importances(found), plot_contour(some, most_important(some, found)), plot_cost(some, None)]
    for figure in figures:
        json.loads(figure.to_json())


def test_importances_find_what_matters_and_are_repeatable(study: PlottedStudy) -> None:
    found = importances(study, repeats=5)
    assert found.settings[0].setting == "content_dim"
    assert sum(one.mean for one in found.settings) == pytest.approx(1.0)
    assert {one.setting for one in found.settings} == {*CONFIG.space, NOISE}
    assert "content_dim" in found.note
    assert found == importances(study, repeats=5)
    assert most_important(study, found)[0] == "content_dim"
    bars = plot_importances(found).data[0]
    assert max(bars.error_x.array) > 0


def test_a_forest_on_many_trials_is_grown_on_some_of_them_and_the_note_says_so(
    study: PlottedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.report.importance.MOST_DRAWN", 15)
    sizes: list[int] = []
    grow = optuna.importance.get_param_importances

    def counted(twin: optuna.Study, **options: object) -> dict[str, float]:
        sizes.append(len(twin.trials))
        return grow(twin, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(optuna.importance, "get_param_importances", counted)
    found = importances(study, repeats=3)
    assert sizes == [15] * 3
    assert found.settings[0].setting == "content_dim"
    assert "From 20 complete trials, 15 drawn for each forest" in found.note


def test_pure_noise_has_no_importance(study: PlottedStudy) -> None:
    draws = np.random.default_rng(3)
    noise = tuple(replace(trial, score=float(draws.normal())) for trial in study.complete)
    assert "random numbers: none" in importances(replace(study, trials=noise), repeats=5).note


def test_too_few_or_equal_trials_give_a_reason_and_no_numbers(study: PlottedStudy) -> None:
    few = importances(replace(study, trials=study.trials[:9]))
    assert few.settings == ()
    assert "this study has 8 of 9" in few.note
    same = importances(replace(study, trials=tuple(replace(trial, score=1.0) for trial in study.complete)))
    assert same.settings == ()


def test_what_was_saved_is_the_rest_of_the_budget_at_the_same_pace(study: PlottedStudy) -> None:
    found = spending(study)
    assert found.seconds == {"complete": 60.0 * (300 - 16 - 32), "stopped early": 960.0, "diverged or failed": 1920.0}
    # Both were stopped at 300 of 1000 iterations: 6 and 10 minutes would have become 20 and 33.3.
    assert found.saved_s == pytest.approx(60 * 16 * 7 / 3)
    assert "it saved 11%" in found.text
    assert "None was stopped early" in spending(replace(study, trials=study.complete)).text


def test_the_pareto_front_is_what_nothing_beats(study: PlottedStudy) -> None:
    # (score, seconds, GiB): the third is beaten by the first in two and equal in one; equal points stay together.
    points = [(9.0, 10, 5), (9.0, 12, 4), (9.0, 11, 6), (1.0, 20, 1), (9.0, 10, 5), (99.0, None, 1)]
    trials = [
        PlottedTrial(number, "complete", {}, score, seconds=seconds, gpu_gib=gib)
        for number, (score, seconds, gib) in enumerate(points)
    ]
    front = pareto_front(trials, CONFIG.objective, ["seconds", "gpu_gib"])
    assert [trial.number for trial in front] == [0, 1, 3, 4]
    lower = replace(CONFIG.objective, metric="kernel_distance", direction="minimize")
    assert [trial.number for trial in pareto_front(trials, lower, ["seconds"])] == [0, 3, 4]


def test_every_seed_is_plotted_and_an_interval_only_where_one_is_right() -> None:
    figure = plot_seeds(final(seeds=5), ["inception_score", "kernel_distance", "frechet_distance"])
    joined = [trace for trace in figure.data if trace.mode == "lines+markers"]
    assert [list(trace.y) for trace in joined[:2]] == [[1.0, 2.0], [1.0, 3.0]]
    means = [trace for trace in figure.data if trace.marker.symbol == "diamond"]
    assert len(means) == 1  # the Frechet distance of this result has no differences
    assert means[0].error_x.array[0] == pytest.approx(1.963, abs=1e-3)
    assert plot_seeds(final(same=True), ["inception_score"]).data
    assert plot_seeds(final(), ["kernel_distance"]).layout.annotations[0].text.startswith("No seeds to show")


def test_trials_are_read_from_their_folders_and_ended_ones_once(paths: StudyPaths) -> None:
    config = load("weizmann", "smoke", ["trials=6", "budget.iterations=100", "objective=inception_score"])[0]
    make = job_maker(config, paths)
    params = dict(zip(config.space, product([5.0], [16], [256], [2.0], [7.0]).__next__(), strict=True))
    for number in range(2):
        job = make(number, params)
        job.write()
        journal = Journal(job.paths.metrics)
        for step in (10, 20):
            journal.append(step, "score", {"inception_score": 1.0 + step})
    Outcome("pruned", 20, {"inception_score": 21.0}, "stopped early", 7.0).write(make(0, params).paths)
    known: dict[object, PlottedTrial] = {}
    first, second = read_trials(paths, config, known).trials  # type: ignore[arg-type]
    assert (first.state, first.score, first.curve, first.seconds) == ("pruned", 21.0, ((10, 11.0), (20, 21.0)), 7.0)
    assert (second.state, second.iteration, second.score) == ("running", 20, 21.0)
    assert [trial.number for trial in known.values()] == [0]  # one at work is read again
    Journal(make(1, params).paths.metrics).append(30, "score", {"inception_score": 5.0})
    assert read_trials(paths, config, known).trials[1].score == 5.0  # type: ignore[arg-type]
