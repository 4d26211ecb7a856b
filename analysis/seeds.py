"""Winner and published row seed by seed: what the paired differences rest on."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.final import Final, origin, paired_seeds
from analysis.final_tables import NAMES
from analysis.plot_style import BLUE, GREY, ORANGE, note_alone
from sweeps.final.statistics import WITHOUT_INTERVAL, paired, shown
from tsvan.scoring.metrics import METRICS


def draw_seeds(final: Final, metrics: list[str]) -> Figure:
    """For each metric every seed's two values, joined, and beside them the differences with mean and 95% t interval.

    The published row and the winner of a seed saw the same batches in the same order, so their difference is less
    noisy than either. A Frechet distance has no interval.

    Args:
        metrics: by name, one a row; those that the runs do not have are left out.
    """
    known = [name for name in metrics if name in final.result.winner.scores]
    if not known:
        return note_alone("No seeds to show: no run of the final stage completed.")
    figure = Figure(figsize=(9.0, 2.7 * len(known) + 0.3), layout="constrained")
    grid = figure.subplots(len(known), 2, squeeze=False, width_ratios=(1, 1.25))
    for (left, right), metric in zip(grid, known, strict=True):
        if final.result.same:
            _alone(left, final, metric)
            right.set_axis_off()
            right.text(0, 0.5, "the best config is the published row", fontsize=9, va="center")
        else:
            _values(left, final, metric)
            _differences(right, final, metric)
    return figure


def _values(axes: Axes, final: Final, metric: str) -> None:
    """A line joins the two runs of a seed; a run whose partner did not complete stands alone."""
    winner, rival = (row.by_seed(metric) for row in (final.result.winner, final.result.published))
    for seed in dict.fromkeys([*rival, *winner]):
        values = (rival.get(seed, np.nan), winner.get(seed, np.nan))
        axes.plot((0, 1), values, color=GREY, linewidth=1, zorder=1)
    axes.scatter([0] * len(rival), list(rival.values()), color=ORANGE, s=40, zorder=3)
    axes.scatter([1] * len(winner), list(winner.values()), color=BLUE, s=40, zorder=3)
    result = final.result
    axes.set_xticks([0, 1], [f"published row\n{origin(result.published)}", f"best\n{origin(result.winner)}"])
    axes.set_xlim(-0.4, 1.4)
    _label(axes, metric)


def _alone(axes: Axes, final: Final, metric: str) -> None:
    values = final.result.winner.by_seed(metric)
    axes.scatter([0] * len(values), list(values.values()), color=BLUE, s=40)
    axes.set_xticks([0], [f"best = published row\n{origin(final.result.winner)}"])
    axes.set_xlim(-0.5, 0.5)
    _label(axes, metric)


def _differences(axes: Axes, final: Final, metric: str) -> None:
    by_seed = paired_seeds(final, metric)
    pairs = list(by_seed.values())
    differences = [winner - rival for winner, rival in pairs]
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(by_seed)), [f"seed {seed}" for seed in by_seed], fontsize=8)
    axes.set_ylim(-1, len(differences) + 0.5)
    axes.scatter(differences, range(len(differences)), color=BLUE, s=36, zorder=3)
    found = paired(dict(enumerate(w for w, _ in pairs)), dict(enumerate(r for _, r in pairs)))
    if found is None:
        axes.set_title("no seed completed for both", fontsize=9, loc="left")
        return
    bounded = metric not in WITHOUT_INTERVAL and len(differences) > 1
    if bounded:
        ends = [end for end in (found.low, found.high) if end is not None]
        axes.plot(ends, [-0.5] * len(ends), color=ORANGE, linewidth=2.5, zorder=2)
    axes.scatter([found.mean], [-0.5], color=ORANGE, marker="D", s=46, zorder=4)
    kind = "mean and 95% t interval" if bounded else "mean"
    mean = shown(metric, found, "+")
    count = f"{len(differences)} seed{'s' if len(differences) > 1 else ''}"
    axes.set_title(f"{count}; diamond: {kind}\n{mean}", fontsize=9, loc="left")
    axes.ticklabel_format(axis="x", useOffset=False)
    side = "right" if METRICS[metric].direction == "maximize" else "left"
    axes.set_xlabel(f"best - published: {side} of 0 is better")
    axes.margins(x=0.12)


def _label(axes: Axes, metric: str) -> None:
    direction = "higher" if METRICS[metric].direction == "maximize" else "lower"
    axes.set_ylabel(f"{NAMES.get(metric, metric)}\n({direction} is better)")
    axes.ticklabel_format(axis="y", useOffset=False)
    axes.margins(y=0.15)
