"""How trials are marked in every picture: complete ones filled, the others hollow or grey, as they had less budget."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.ranking import completed
from analysis.reading import COMPLETE, PRUNED, Study

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#8a8a8a"
_COLOURS = "viridis_r"


def mark_stopped(axes: Axes, study: Study, places: Any, limits: tuple[float, float]) -> None:
    """Trials that are not complete; those beyond the limits lie on the edge, those without a score at the bad one."""
    bad = limits[0] if study.maximize else limits[1]
    inset = 0.05 * (limits[1] - limits[0])
    scores = study.trials["score"].astype(float).fillna(bad).clip(limits[0] + inset, limits[1] - inset)
    for pruned, marker, name in ((True, "o", "stopped early"), (False, "x", "diverged or failed")):
        rows = (study.trials["state"] != COMPLETE) & ((study.trials["state"] == PRUNED) == pruned)
        if rows.any():
            style: dict[str, Any] = {"facecolors": "none", "edgecolors": GREY} if pruned else {"color": GREY}
            axes.scatter(np.asarray(places)[rows], scores[rows], marker=marker, s=28, label=name, **style)


def mark_published(axes: Axes, study: Study, column: str) -> None:
    """A star for the published row, if it is complete."""
    rows = completed(study)
    rows = rows[rows["origin"].str.startswith(study.config.published.row_name)]
    if not rows.empty:
        axes.scatter(
            rows[column], rows["score"], marker="*", s=130, color=ORANGE, zorder=4, label=str(rows["origin"].iloc[0])
        )


def mark_best(axes: Axes, place: Any, score: Any, label: str) -> None:
    """A ring around one trial."""
    axes.scatter([place], [score], facecolors="none", edgecolors=ORANGE, s=130, linewidths=2, zorder=4, label=label)


def legend(figure: Figure, axes: Axes) -> None:
    """Above the picture, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)


def objective_label(study: Study) -> str:
    """Of a score axis."""
    return f"{study.config.objective.metric} ({better(study)} is better)"


def better(study: Study) -> str:
    """Which way is better: `higher` or `lower`."""
    return "higher" if study.maximize else "lower"


def score_colours(study: Study) -> Any:
    """A colour map from the lowest to the highest score, in which the better is the darker."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    good = np.linspace(0, 1, 256) if study.maximize else np.linspace(1, 0, 256)
    return ListedColormap(colormaps[_COLOURS](0.1 + 0.9 * good))


def note_alone(text: str) -> Figure:
    """A line in place of a picture that would mislead."""
    figure = Figure(figsize=(8, 0.8), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0, 0.5, fill(text, 110), fontsize=10, va="center")
    return figure
