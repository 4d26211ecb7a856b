"""What a better score costs, and what early stopping saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweeps.config.schema import Objective
from sweeps.final.seed_noise import NearBest
from sweeps.report.plots import BLUE, GREY, ORANGE, note, styled, words
from sweeps.report.plotted import PlottedStudy, PlottedTrial
from tsvan.terminal import duration

GROUPS = ("complete", "stopped early", "diverged or failed")


@dataclass(frozen=True)
class Spending:
    """Seconds of all trials by what became of them, and what the stopped ones would have taken besides, had each gone
    on at its own pace to the full budget. That is an estimate: no one has seen them do it."""

    seconds: dict[str, float]
    saved_s: float

    @property
    def text(self) -> str:
        """Say in a line what the trials took, and what early stopping saved."""
        spent = sum(self.seconds.values())
        parts = ", ".join(f"{duration(seconds)} {name}" for name, seconds in self.seconds.items() if seconds > 0)
        text = f"The trials took {duration(spent)} in all ({parts or 'no time was measured'})."
        if self.saved_s <= 0:
            return f"{text} None was stopped early."
        whole = spent + self.saved_s
        return f"{text} Without early stopping about {duration(whole)}: it saved {self.saved_s / whole:.0%}."


def spending(study: PlottedStudy) -> Spending:
    """Add up the seconds of a study's trials."""
    seconds, saved = dict.fromkeys(GROUPS, 0.0), 0.0
    for trial in study.trials:
        spent = trial.seconds or 0.0
        place = {"complete": 0, "pruned": 1}.get(trial.state, 2)
        seconds[GROUPS[place]] += spent
        if trial.state == "pruned" and trial.iteration > 0:
            saved += spent * (study.config.base.schedule.total / trial.iteration - 1)
    return Spending(seconds, saved)


def pareto_front(trials: Sequence[PlottedTrial], objective: Objective, costs: Sequence[str]) -> list[PlottedTrial]:
    """List the trials on the Pareto front: no other is at least as good in score and all costs and better in one.

    Args:
        trials: complete, each with a score; one without a cost is not on the front and beats nothing.
        costs: names of fields, each better when smaller.
    """
    points = {}
    for trial in trials:
        values = [getattr(trial, name) for name in costs]
        if None not in values:
            points[trial.number] = (-objective.sign * (trial.score or 0.0), *values)
    return [
        trial
        for trial in trials
        if trial.number in points
        and not any(
            all(a <= b for a, b in zip(other, points[trial.number], strict=True)) and other != points[trial.number]
            for other in points.values()
        )
    ]


def memory_measure(study: PlottedStudy) -> tuple[str, str]:
    """Name the measure of memory, as field and title: of the GPU, or where a complete trial has none, weights."""
    if study.complete and all(trial.gpu_gib is not None for trial in study.complete):
        return "gpu_gib", "peak GPU memory, GiB"
    return "weights", "weights of all networks"


def plot_cost(study: PlottedStudy, near: NearBest | None) -> go.Figure:
    """Plot the score against seconds and against memory, each with its own Pareto front.

    Args:
        near: the trials that can't be told from the best, as a band; None: the noise between seeds is not known.
    """
    if not study.complete:
        return note("No trial is complete yet.")
    measures = [("seconds", "minutes of a trial"), memory_measure(study)]
    figure = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.06)
    for column, (field, title) in enumerate(measures, start=1):
        front = {trial.number for trial in pareto_front(study.complete, study.config.objective, [field])}
        for name, colour, chosen in (
            ("beaten in both", GREY, [t for t in study.complete if t.number not in front]),
            ("Pareto front", BLUE, [t for t in study.complete if t.number in front]),
        ):
            known = [trial for trial in chosen if getattr(trial, field) is not None]
            figure.add_scatter(
                x=[getattr(trial, field) / (60 if field == "seconds" else 1) for trial in known],
                y=[trial.score for trial in known],
                name=name,
                showlegend=column == 1,
                mode="lines+markers" if colour == BLUE else "markers",
                line={"width": 1},
                marker={"size": 9, "color": colour},
                customdata=[trial.number for trial in known],
                text=[words(study, trial.number) for trial in known],
                hovertemplate="%{x:.4g}<br>%{text}<extra></extra>",
                row=1,
                col=column,
            )
        figure.update_xaxes(title=title, row=1, col=column)
    best = study.complete[0].score or 0.0
    if near is not None and near.margin > 0:
        edge = best - study.config.objective.sign * near.margin
        figure.add_hrect(
            min(best, edge), max(best, edge), fillcolor=ORANGE, opacity=0.13, line_width=0, row="all", col="all"
        )
    figure.update_yaxes(title=study.score_title, row=1, col=1)
    return styled(figure)
