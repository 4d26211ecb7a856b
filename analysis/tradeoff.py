"""Score against time and memory: what a better score costs."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.noise import BestSet
from analysis.pareto import pareto_front
from analysis.plot_style import BLUE, GREY, ORANGE, legend, mark_best, objective_label
from analysis.ranking import completed
from analysis.reading import Study
from analysis.scales import score_limits

SCORE, MINUTES = "score", "minutes"


def memory_measure(study: Study) -> str:
    """`GPU GiB`, or `weights (M)` where a complete trial has no measured memory: two measures don't mix."""
    measured = completed(study)["gpu_gib"].astype(float)
    return "GPU GiB" if len(measured) and measured.notna().all() else "weights (M)"


def criteria(study: Study) -> pd.DataFrame:
    """Score, minutes and memory of the complete trials, by number, best first, and `front`: whether a trial is on the
    Pareto front of all three."""
    ranked = completed(study).set_index("number")
    memory = memory_measure(study)
    values = ranked["gpu_gib"].astype(float) if memory == "GPU GiB" else ranked["weights"].astype(float) / 1e6
    table = pd.DataFrame({SCORE: ranked["score"].astype(float), MINUTES: ranked["seconds"].astype(float) / 60})
    table[memory] = values
    direction = study.config.objective.direction
    table["front"] = pareto_front(table.to_numpy(), [direction, "minimize", "minimize"])
    return table


def front_table(study: Study, found: BestSet) -> pd.DataFrame:
    """The Pareto front of score, minutes and memory to read, best score first."""
    table = criteria(study)
    front = table[table["front"]].drop(columns="front")
    near = "can't be told from the best" if found.noise is not None else "near the best (convention)"
    settings = completed(study).set_index("number").loc[front.index, study.parameters]
    shown = pd.concat([settings, front], axis=1).map(lambda v: f"{v:.4g}" if isinstance(v, float) else str(v))
    shown[near] = ["yes" if number in found.trials else "" for number in front.index]
    return shown.rename_axis("trial").rename(columns={SCORE: study.config.objective.metric})


def draw_tradeoff(study: Study, found: BestSet) -> Figure:
    """Score against minutes and against memory, each with its own Pareto front and the band of the best set."""
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    table = criteria(study)
    for panel, column in zip(axes, (MINUTES, memory_measure(study)), strict=True):
        _panel(panel, study, found, table, column)
    axes[0].set_ylabel(objective_label(study))
    axes[0].set_xlabel("minutes of a trial, measured")
    axes[1].set_xlabel("peak GPU memory, GiB" if "GPU GiB" in table else "weights, millions (GPU memory not measured)")
    legend(figure, axes[0])
    return figure


def _panel(axes: Axes, study: Study, found: BestSet, table: pd.DataFrame, column: str) -> None:
    best = float(table[SCORE].iloc[0])
    edge = best - found.margin if study.maximize else best + found.margin
    band = "can't be told from the best" if found.noise is not None else "near the best, by convention only"
    axes.axhspan(min(best, edge), max(best, edge), color=ORANGE, alpha=0.13, linewidth=0, label=band)
    direction = study.config.objective.direction
    front = table[pareto_front(table[[SCORE, column]].to_numpy(), [direction, "minimize"])]
    rest = table.drop(front.index)
    axes.scatter(rest[column], rest[SCORE], color=GREY, s=26, zorder=2, label="beaten in both")
    # From the cheapest on, each step is the best score that so much buys.
    front = front.sort_values([column, SCORE], ascending=[True, study.maximize])
    axes.step(front[column], front[SCORE], where="post", color=BLUE, linewidth=1, alpha=0.6, zorder=2)
    axes.scatter(front[column], front[SCORE], color=BLUE, s=38, zorder=3, label="Pareto front")
    mark_best(axes, table[column].iloc[0], best, f"best: trial {table.index[0]}")
    cheapest = table.loc[found.cheapest]
    axes.scatter(
        [cheapest[column]],
        [cheapest[SCORE]],
        marker="D",
        facecolors="none",
        edgecolors=ORANGE,
        linewidths=1.6,
        s=80,
        zorder=5,
        label=f"least work in the band: trial {found.cheapest}",
    )
    _number(axes, front, column)
    axes.set_ylim(score_limits(study))  # the band is cut where no trial is, or it would squash those that are
    axes.ticklabel_format(axis="y", useOffset=False)
    values = table[column].dropna()
    if len(values) and values.min() > 0 and values.max() > 20 * values.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    axes.margins(x=0.1)


def _number(axes: Axes, front: pd.DataFrame, column: str) -> None:
    """The front's trials by number; those at the same place share a label."""
    for (x, y), group in front.groupby([column, SCORE]):
        text = ", ".join(str(number) for number in group.index)
        axes.annotate(text, (x, y), xytext=(6, -11), textcoords="offset points", fontsize=8, zorder=6)
