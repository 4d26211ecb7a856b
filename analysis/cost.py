"""What a study cost, and what early stopping saved."""

from __future__ import annotations

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from analysis.plot_style import BLUE, GREY, ORANGE, legend, mark_best, objective_label
from analysis.ranking import completed, stopped
from analysis.reading import COMPLETE, PRUNED, Study
from analysis.scales import score_limits

GROUPS = (COMPLETE, "stopped early", "diverged or failed")
_PALE = "#e8b98a"
_MARKERS = "osD^vP"


def spending(study: Study) -> pd.DataFrame:
    """Minutes spent up to and including each trial, cumulative and by what became of it.

    Returns:
        By number: a column for each of `GROUPS`, and `saved`: what the stopped ones would have taken besides, had each
        gone on at its own pace to the full budget. That is an estimate: no one has seen them do it.
    """
    trials = study.trials.set_index("number")
    minutes = trials["seconds"].astype(float).fillna(0.0) / 60
    state = trials["state"]
    pruned = state == PRUNED
    table = pd.DataFrame(
        {
            GROUPS[0]: minutes.where(state == COMPLETE, 0.0),
            GROUPS[1]: minutes.where(pruned, 0.0),
            GROUPS[2]: minutes.where(~pruned & (state != COMPLETE), 0.0),
        }
    )
    done = trials["iteration"].astype(float) / study.config.base.schedule.total
    table["saved"] = (minutes / done - minutes).where(pruned & (done > 0), 0.0)
    return table.cumsum()


def spending_text(study: Study) -> str:
    """The same in a line."""
    table = spending(study)
    if table.empty:
        return "No trials, no cost."
    last = table.iloc[-1]
    spent = float(last[list(GROUPS)].sum())
    parts = ", ".join(f"{_duration(float(last[name]))} {name}" for name in GROUPS if last[name] > 0)
    saved = float(last["saved"])
    if saved <= 0:
        return f"The trials took {_duration(spent)} in all ({parts or 'no time was measured'}). None was stopped early."
    return (
        f"The trials took {_duration(spent)} in all ({parts}). Without early stopping it would have been about "
        f"{_duration(spent + saved)}: it saved {saved / (spent + saved):.0%}."
    )


def draw_cost(study: Study) -> Figure:
    """Score by minutes, and where the minutes of the whole study went."""
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    _scores(left, study)
    _spending(right, study)
    legend(figure, left)
    return figure


def _scores(axes: Axes, study: Study) -> None:
    """Complete trials filled; a stopped one is hollow, at the minutes and the score that it had when it was stopped."""
    ranked, rest = completed(study), stopped(study)
    low, high = score_limits(study)
    by = "ngf" if "ngf" in study.parameters else None
    values = [None] if by is None else sorted(study.trials[by].dropna().unique())
    for place, value in enumerate(values):
        marker = _MARKERS[place % len(_MARKERS)]
        chosen = ranked if by is None else ranked[ranked[by] == value]
        label = COMPLETE if by is None else f"ngf {value}"
        axes.scatter(chosen["seconds"] / 60, chosen["score"], color=BLUE, marker=marker, s=34, zorder=3, label=label)
        others = rest[rest["state"] == PRUNED]
        others = others if by is None else others[others[by] == value]
        scores = others["score"].astype(float).clip(low + 0.02 * (high - low), high - 0.02 * (high - low))
        axes.scatter(others["seconds"] / 60, scores, facecolors="none", edgecolors=GREY, marker=marker, s=30)
    if not ranked.empty:
        best = ranked.iloc[0]
        mark_best(axes, best["seconds"] / 60, best["score"], f"best: trial {best['number']}")
    if (rest["state"] == PRUNED).any():
        axes.scatter([], [], facecolors="none", edgecolors=GREY, label="hollow: stopped early")
    axes.set_ylim(low, high)
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.set_xlim(left=0)
    axes.set_xlabel("minutes of a trial")
    axes.set_ylabel(objective_label(study))


def _spending(axes: Axes, study: Study) -> None:
    table = spending(study)
    axes.set_xlabel("trials ended")
    axes.set_title("where the time went", fontsize=9, loc="left")
    if table.empty:
        return
    total = float(table.iloc[-1].sum())
    unit, name = (60.0, "hours") if total > 180 else (1.0, "minutes")
    ended = range(len(table) + 1)
    below = pd.Series(0.0, index=ended)
    for group, colour in zip(GROUPS, (BLUE, _PALE, GREY), strict=True):
        above = below + _from_zero(table[group] / unit)
        if float(above.iloc[-1]) > float(below.iloc[-1]):
            axes.fill_between(ended, below, above, color=colour, alpha=0.85, linewidth=0, label=group)
        below = above
    if float(table["saved"].iloc[-1]) > 0:
        without = below + _from_zero(table["saved"] / unit)
        axes.plot(ended, without, color=ORANGE, linestyle="--", label="without early stopping (estimate)")
    axes.set_ylabel(f"{name}, all trials together")
    axes.set_xlim(0, len(table))
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="upper left", fontsize=8, frameon=False)


def _from_zero(cumulative: pd.Series) -> pd.Series:
    return pd.Series([0.0, *cumulative])


def _duration(minutes: float) -> str:
    return f"{minutes:.3g} min" if minutes < 180 or math.isnan(minutes) else f"{minutes / 60:.3g} h"
