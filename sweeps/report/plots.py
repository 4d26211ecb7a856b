"""Plots of a study that can be hovered, for the report and the notebooks: Optuna's own where they serve, in Plotly.

Every point of a trial carries the trial's number (`customdata`), by which the page links the plots with each other.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping

import optuna.visualization as optuna_plots
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweeps.final.reruns import FinalResult
from sweeps.final.statistics import WITHOUT_INTERVAL, shown
from sweeps.report.plotted import PlottedStudy, PlottedTrial
from tsvan.scoring.metrics import DIRECTIONS

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
_HOVER = "%{text}<extra></extra>"
STATES = {"pruned": "stopped early", "running": "running"}
"""States of trials without the full budget, in words; others are called what they are."""


def plot_best_so_far(study: PlottedStudy) -> go.Figure:
    """Plot every trial's score by its number and the best so far; trials without the full budget are hollow."""
    figure = optuna_plots.plot_optimization_history(study.to_optuna(), target_name=study.config.objective.metric)
    for trace in figure.data:
        if trace.mode == "markers":
            trace.update(name="complete", customdata=trace.x, hovertemplate=_HOVER, marker={"color": BLUE, "size": 9})
            trace.text = [words(study, number) for number in trace.x]
        else:
            trace.update(name="best so far", hoverinfo="skip", line={"shape": "hv", "color": BLUE, "width": 1})
    low, high = _limits(study)
    for state, name in STATES.items():
        rest = [trial for trial in study.others if trial.state == state and trial.score is not None]
        _add_hollow(figure, study, rest, [trial.number for trial in rest], name)
    marked = [trial for trial in study.complete if trial.published]
    figure.add_scatter(
        x=[trial.number for trial in marked],
        y=[trial.score for trial in marked],
        name="published row",
        mode="markers",
        marker={"symbol": "star", "size": 15, "color": ORANGE},
        hoverinfo="skip",
    )
    step = max(1, len(study.trials) // 16)
    figure.update_xaxes(title="trial", tick0=0, dtick=step, range=(-0.5, max(len(study.trials), 2) - 0.5))
    figure.update_yaxes(title=study.score_title, range=(low, high))
    return styled(figure)


def plot_slices(study: PlottedStudy) -> go.Figure:
    """Plot the score by each setting: complete trials filled, those that were stopped early hollow."""
    if not study.complete:
        return note("No trial is complete yet.")
    names = list(study.config.space)
    figure = optuna_plots.plot_slice(study.to_optuna(), params=names, target_name=study.config.objective.metric)
    order = sorted(names)  # Optuna's order of the columns
    for trace in figure.data:
        numbers = list(trace.marker.color)
        trace.update(customdata=numbers, text=[words(study, n) for n in numbers], hovertemplate=_HOVER)
        trace.update(marker={"color": BLUE, "size": 9, "showscale": False, "colorbar": None}, name="complete")
    stopped = [trial for trial in study.others if trial.state == "pruned" and trial.score is not None]
    for column, name in enumerate(order, start=1):
        choices = study.config.space[name].values is not None
        places = [repr(trial.params[name]) if choices else trial.params[name] for trial in stopped]
        where = {"row": 1, "col": column} if len(order) > 1 else {}
        _add_hollow(figure, study, stopped, places, "stopped early", showlegend=column == 1, **where)
    figure.update_layout(width=None)
    figure.update_yaxes(range=_limits(study))
    return styled(figure)


def plot_parallel(study: PlottedStudy) -> go.Figure:
    """Plot every complete trial as a line through its settings to its score."""
    if not study.complete:
        return note("No trial is complete yet.")
    names = list(study.config.space)
    figure = optuna_plots.plot_parallel_coordinate(
        study.to_optuna(), params=names, target_name=study.config.objective.metric
    )
    return styled(figure)


def plot_contour(study: PlottedStudy, names: list[str]) -> go.Figure:
    """Plot the score over two settings: the complete trials, and between them Optuna's interpolation, which claims
    nothing about trials that were not made.

    Args:
        names: horizontal and vertical.
    """
    varied = [name for name in names if len({trial.params[name] for trial in study.complete}) > 1]
    if len(varied) < 2:
        return note(f"No contour: {' and '.join(names)} need at least two values each among the complete trials.")
    return styled(optuna_plots.plot_contour(study.to_optuna(), params=names, target_name=study.config.objective.metric))


def plot_seeds(final: FinalResult, metrics: list[str], directions: Mapping[str, str] = DIRECTIONS) -> go.Figure:
    """Plot for each metric every seed's two values, joined, and beside them the differences with mean and 95% interval.

    Both runs of a seed saw the same batches in the same order, so their difference is less noisy than either value.

    Args:
        metrics: by name, one a row; those that the runs do not have are left out.
    """
    known = [name for name in metrics if name in final.winner.scores]
    if not known:
        return note("No seeds to show: no run of the final stage completed.")
    figure = make_subplots(len(known), 2, column_widths=[0.5, 0.5], horizontal_spacing=0.14)
    rows = [final.winner] if final.same else [final.published, final.winner]
    titles = [f"{row.role} ({row.origin.rpartition('/')[2]})" for row in rows]
    for place, metric in enumerate(known, start=1):
        scores = [row.by_seed(metric) for row in rows]
        for seed in dict.fromkeys(seed for values in scores for seed in values):
            figure.add_scatter(
                x=titles,
                y=[values.get(seed) for values in scores],
                mode="lines+markers",
                line={"color": GREY, "width": 1},
                marker={"size": 9, "color": [ORANGE, BLUE][-len(rows) :]},
                hovertemplate=f"seed {seed}: %{{y:.6g}}<extra></extra>",
                row=place,
                col=1,
            )
        lower = directions[metric] == "minimize"
        figure.update_yaxes(title=f"{metric}<br>({'lower' if lower else 'higher'} is better)", row=place, col=1)
        _add_differences(figure, final, metric, place, lower)
    figure.update_layout(showlegend=False)
    return styled(figure, height=300 * len(known))


def _add_differences(figure: go.Figure, final: FinalResult, metric: str, place: int, lower: bool) -> None:
    found = final.differences.get(metric)
    if found is None:
        return
    figure.add_scatter(
        x=found.values,
        y=["each seed"] * len(found.values),
        mode="markers",
        marker={"size": 9, "color": BLUE},
        hovertemplate="%{x:+.6g}<extra></extra>",
        row=place,
        col=2,
    )
    bars = {}
    if found.low is not None and found.high is not None and metric not in WITHOUT_INTERVAL:
        below, above = [found.mean - found.low], [found.high - found.mean]
        bars = {"error_x": {"type": "data", "symmetric": False, "array": above, "arrayminus": below}}
    figure.add_scatter(
        x=[found.mean],
        y=["mean, 95%"],
        mode="markers",
        marker={"size": 11, "color": ORANGE, "symbol": "diamond"},
        hovertemplate=f"{shown(metric, found, '+')}<extra></extra>",
        row=place,
        col=2,
        **bars,
    )
    figure.add_vline(0, line_width=1, line_color="black", row=place, col=2)
    side = "left" if lower else "right"
    figure.update_xaxes(title=f"best - published: {side} of 0 is better", row=place, col=2)


def _add_hollow(
    figure: go.Figure, study: PlottedStudy, trials: list[PlottedTrial], places: list[object], name: str, **where: object
) -> None:
    """Add trials without the full budget; those beyond the axis lie on its edge."""
    low, high = _limits(study)
    inset = 0.03 * (high - low)
    figure.add_scatter(
        x=places,
        y=[min(max(trial.score or 0.0, low + inset), high - inset) for trial in trials],
        name=name,
        mode="markers",
        marker={"symbol": "circle-open", "size": 8, "color": GREY},
        customdata=[trial.number for trial in trials],
        text=[words(study, trial.number) for trial in trials],
        hovertemplate=_HOVER,
        **where,
    )


def _limits(study: PlottedStudy) -> tuple[float, float]:
    """Find the ends of a score axis: what complete trials span, with a margin. One that went astray must not squash
    the others."""
    ranked = study.complete or tuple(trial for trial in study.trials if trial.score is not None)
    scores = [trial.score for trial in ranked if trial.score is not None and math.isfinite(trial.score)] or [0.0, 1.0]
    margin = 0.15 * (max(scores) - min(scores)) or max(abs(max(scores)), 1e-3) * 0.05
    return min(scores) - margin, max(scores) + margin


def words(study: PlottedStudy, number: int) -> str:
    """Say all about a trial, for when it is hovered."""
    trial = study.by_number[number]
    score = "no score" if trial.score is None else f"{study.config.objective.metric} {trial.score:.5g}"
    settings = [f"{name} {_short(value)}" for name, value in trial.params.items()]
    state = html.escape(trial.reason or STATES.get(trial.state, trial.state))
    done = f"{state}, {trial.iteration:,} iterations"
    return "<br>".join([f"<b>{trial.title}</b>: {score}", ", ".join(settings), done])


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def note(text: str) -> go.Figure:
    """Make a line in place of a plot that would mislead."""
    figure = go.Figure()
    figure.add_annotation(text=text, showarrow=False, x=0, y=0.5, xref="paper", yref="paper", xanchor="left")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return styled(figure, height=90)


def styled(figure: go.Figure, height: int = 380) -> go.Figure:
    """Give a plot the look that all have in common."""
    figure.update_layout(
        template="plotly_white",
        title=None,
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        hovermode="closest",
        hoverlabel={"align": "left"},
    )
    return figure
