"""Pictures of a study. Complete trials are filled and coloured, the others hollow or grey: they had less budget."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.importance import NOISE, Importances
from analysis.plot_style import (
    BLUE,
    GREY,
    ORANGE,
    better,
    legend,
    mark_best,
    mark_published,
    mark_stopped,
    note_alone,
    objective_label,
    score_colours,
)
from analysis.ranking import completed
from analysis.reading import COMPLETE, Study
from analysis.scales import scale_of, score_limits


def draw_history(study: Study) -> Figure:
    """Scores in the order of the trials, and the best so far."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    limits = score_limits(study)
    ranked = completed(study).sort_values("number")
    mark_stopped(axes, study, study.trials["number"], limits)
    axes.scatter(ranked["number"], ranked["score"], color=BLUE, s=36, zorder=3, label=COMPLETE)
    if not ranked.empty:
        scores = ranked["score"].astype(float)
        so_far = scores.cummax() if study.maximize else scores.cummin()
        axes.step(ranked["number"], so_far, where="post", color=BLUE, linewidth=1, alpha=0.6, label="best so far")
        best = completed(study).iloc[0]
        mark_best(axes, best["number"], best["score"], f"best: trial {best['number']}")
    mark_published(axes, study, "number")
    axes.set_ylim(limits)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlabel("trial")
    axes.set_ylabel(objective_label(study))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure, axes)
    return figure


def draw_slices(study: Study) -> Figure:
    """Score by each setting."""
    names = study.parameters
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.1 * columns + 1.4, 2.7 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    limits, ranked = score_limits(study), completed(study)
    for axes, name in zip(grid.flat, names, strict=False):
        scale = scale_of(study, name)
        mark_stopped(axes, study, scale.places(study.trials[name]), limits)
        axes.scatter(scale.places(ranked[name]), ranked["score"], color=BLUE, s=30, zorder=3, label=COMPLETE)
        if not ranked.empty:
            best = ranked.iloc[0]
            mark_best(axes, scale.places([best[name]])[0], best["score"], f"best: trial {best['number']}")
        scale.label_x(axes)
        axes.set_xlabel(name)
        axes.set_ylim(limits)
        axes.ticklabel_format(axis="y", useOffset=False)
    for axes in grid.flat[len(names) :]:
        axes.remove()
    figure.supylabel(objective_label(study), fontsize=10)
    legend(figure, grid.flat[0])
    return figure


def draw_parallel(study: Study) -> Figure:
    """Every trial as a line through its settings to its score; each axis runs over the setting's whole range."""
    names = [*study.parameters, "score"]
    figure = Figure(figsize=(max(1.7 * len(names), 5), 4.0), layout="constrained")
    axes = figure.subplots()
    ranked, scales = completed(study), [scale_of(study, name) for name in names]
    low, high = (0.0, 1.0) if ranked.empty else (float(ranked["score"].min()), float(ranked["score"].max()))
    colours = score_colours(study)

    def line(trial: Any, **style: Any) -> None:
        places = [scale.share([trial[name]])[0] for scale, name in zip(scales, names, strict=True)]
        axes.plot(range(len(names)), places, **style)

    for _, trial in study.trials[study.trials["state"] != COMPLETE].iterrows():
        line(trial, color=GREY, linewidth=0.8, linestyle=":", alpha=0.7)
    for place, (_, trial) in reversed(list(enumerate(ranked.iterrows()))):
        share = (float(trial["score"]) - low) / (high - low) if high > low else 1.0
        line(trial, color=colours(share), linewidth=3 if place == 0 else 1.4, zorder=3 if place == 0 else 2)
    axes.set_xticks(range(len(names)), [*study.parameters, study.config.objective.metric], fontsize=9)
    axes.set_xlim(-0.1, len(names) - 0.6)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([])
    for place, scale in enumerate(scales):
        axes.axvline(place, color="black", linewidth=0.8)
        for where, text in scale.ticks():
            axes.annotate(
                text,
                (place, where),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=8,
                va="center",
                zorder=5,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            )
    axes.spines[:].set_visible(False)
    others = len(study.trials) - len(ranked)
    text = f"thick: best ({better(study)} is better; darker is better)"
    axes.set_title(text + (f"; dotted: {others} not complete" if others else ""), fontsize=9, loc="left")
    return figure


def draw_curves(study: Study, curves: pd.DataFrame) -> Figure:
    """Score over the iterations: `curves` is the result of `learning_curves`."""
    figure = Figure(figsize=(8, 3.8), layout="constrained")
    axes = figure.subplots()
    ranked = completed(study)
    best = None if ranked.empty else ranked["number"].iloc[0]
    seen: set[str] = set()
    for number, points in curves.groupby("number"):
        state = points["state"].iloc[0]
        name = f"best: trial {number}" if number == best else (COMPLETE if state == COMPLETE else "stopped or diverged")
        colour = ORANGE if number == best else BLUE if state == COMPLETE else GREY
        axes.plot(
            points["iteration"],
            points["value"],
            color=colour,
            marker="o" if number == best else ".",
            markersize=4,
            linewidth=2 if number == best else 1,
            alpha=1 if number == best else 0.6,
            linestyle="-" if state == COMPLETE else ":",
            zorder=3 if number == best else 2,
            label=None if name in seen else name,
        )
        seen.add(name)
    schedule = study.config.base.schedule
    for text, shares in schedule.knots.items():
        for label, share in zip([text, None], shares, strict=True):
            at = schedule.pretrain_iterations + share * schedule.iterations
            axes.axvline(at, color=GREY, linewidth=0.8, linestyle="--", label=label)
    _limit_curves(axes, curves[curves["state"] == COMPLETE]["value"])
    axes.set_xlim(0, schedule.total * 1.02)
    axes.set_xlabel("iteration" + (", pre-training included" if schedule.pretrain_iterations else ""))
    axes.set_ylabel(objective_label(study))
    legend(figure, axes)
    return figure


def draw_importances(found: Importances) -> Figure:
    """Bars with their uncertainty under the note, random numbers in grey; the note alone without numbers."""
    if found.table is None:
        return note_alone(found.note)
    table = found.table.iloc[::-1]
    figure = Figure(figsize=(8, 0.45 * len(table) + 1.3), layout="constrained")
    axes = figure.subplots()
    errors = [table["importance"] - table["low"], table["high"] - table["importance"]]
    colours = [GREY if name == NOISE else BLUE for name in table["setting"]]
    axes.barh(
        table["setting"], table["importance"], xerr=np.clip(errors, 0, None), color=colours, capsize=3, height=0.6
    )
    axes.set_title(fill(found.note, 85), fontsize=9, loc="left")
    axes.set_xlabel("share of the score's variance that the setting explains alone")
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _limit_curves(axes: Axes, values: pd.Series) -> None:
    """The complete trials set the scale: one that went astray is cut, not shown in full."""
    axes.ticklabel_format(axis="y", useOffset=False)
    if values.empty:
        return
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > 50 * low:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.5, high * 1.5)
    else:
        margin = 0.08 * (high - low) or max(abs(high), 1e-3) * 0.05
        axes.set_ylim(low - margin, high + margin)
