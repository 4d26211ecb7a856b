"""The plot of all trials' scores over the iterations: a name each for a few, a name each state for many."""

from __future__ import annotations

import plotly.graph_objects as go

from sweeps.report.plots import BLUE, GREY, ORANGE, STATES, styled, words
from sweeps.report.plotted import PlottedStudy, PlottedTrial

MOST_NAMES = 40
"""Trials with names of their own in the legend."""


def plot_learning_curves(study: PlottedStudy) -> go.Figure:
    """Plot every trial's score over the iterations: the best thick, those that were stopped dotted, to their last."""
    figure = go.Figure()
    best = study.complete[0].number if study.complete else None
    for name, trials in _named_alone(study, best) if len(study.trials) <= MOST_NAMES else _by_state(study, best):
        if curves := [trial for trial in trials if trial.curve]:
            _add_curves(figure, study, name, curves, best)
    schedule = study.config.base.schedule
    for text, shares in schedule.knots.items():
        start, end = (schedule.pretrain_iterations + share * schedule.iterations for share in shares)
        band = {"fillcolor": GREY, "opacity": 0.08, "line_width": 0, "annotation_position": "top"}
        figure.add_vrect(start, end, annotation_text=text.removesuffix(" between"), **band)
    pretrained = ", pre-training included" if schedule.pretrain_iterations else ""
    figure.update_xaxes(title=f"iteration{pretrained}", range=(0, schedule.total * 1.02))
    figure.update_yaxes(title=study.score_title)
    return styled(figure)


def _named_alone(study: PlottedStudy, best: int | None) -> list[tuple[str, list[PlottedTrial]]]:
    """Give each trial a name in the legend; the best is drawn last, above the others."""
    found = []
    for trial in sorted(study.trials, key=lambda trial: trial.number == best):
        state = "" if trial.state == "complete" else f", {STATES.get(trial.state, trial.state)}"
        found.append((f"{trial.title}{state}{', best' if trial.number == best else ''}", [trial]))
    return found


def _by_state(study: PlottedStudy, best: int | None) -> list[tuple[str, list[PlottedTrial]]]:
    """Give the trials of a state one name in the legend, so that it stays readable, and the best its own."""
    states: dict[str, list[PlottedTrial]] = {}
    for trial in study.trials:
        if trial.number != best:
            states.setdefault(trial.state, []).append(trial)
    named = [(f"{STATES.get(state, state)} ({len(trials)})", trials) for state, trials in states.items()]
    named.sort(key=lambda one: one[1][0].state == "complete")
    return [*named, *((f"{trial.title}, best", [trial]) for trial in study.complete[:1])]


def _add_curves(
    figure: go.Figure, study: PlottedStudy, name: str, trials: list[PlottedTrial], best: int | None
) -> None:
    """Add trials of one state as one line with gaps."""
    first, whole = trials[0], trials[0].state == "complete"
    points = [
        point
        for place, trial in enumerate(trials)
        for point in (*([(None, None, None, None)] if place else ()), *_points(study, trial))
    ]
    x, y, numbers, texts = zip(*points, strict=True)
    leads, faint = first.number == best, len(trials) > 1
    figure.add_scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={
            "color": ORANGE if leads else BLUE if whole else GREY,
            "width": 3 if leads else 0.7 if faint else 1.2,
            "dash": "solid" if whole else "dot",
        },
        marker={"size": 3 if faint else 5, "symbol": "circle" if whole else "circle-open"},
        opacity=0.6 if faint else 1,
        customdata=numbers,
        text=texts,
        hovertemplate="iteration %{x:,}: %{y:.5g}<br>%{text}<extra></extra>",
    )


def _points(study: PlottedStudy, trial: PlottedTrial) -> list[tuple[int, float, int, str]]:
    text = words(study, trial.number)
    return [(iteration, score, trial.number, text) for iteration, score in trial.curve]
