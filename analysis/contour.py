"""Score over two settings: complete trials as points, over a surface where there are enough of them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.importance import NOISE, Importances
from analysis.plot_style import GREY, ORANGE, note_alone, objective_label, score_colours
from analysis.ranking import completed
from analysis.reading import PRUNED, Study
from analysis.scales import Scale, scale_of

SURFACE_TRIALS = 12
"""A surface needs as many complete trials: twice the coefficients of the simplest curved one, a quadratic in two."""
MIN_EXPLAINED = 0.1
"""Of the variance; a surface that predicts less of trials that it has not seen is not worth looking at."""
_CELLS = 80
_JITTER = 0.6


@dataclass(frozen=True)
class Surface:
    """A smooth interpolation of the score.

    Args:
        x, y: places on the two scales (n,) and (m,).
        score: (m, n); NaN where the trials say too little.
        explained: share of the score's variance that it predicts of trials that are left out, one at a time; the rest
            are other settings and noise.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]
    explained: float


def numeric_settings(study: Study) -> list[str]:
    """Settings with an order: ranges, and choices that are numbers."""
    return [
        name
        for name, prior in study.config.space.items()
        if prior.values is None
        or all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in prior.values)
    ]


def contour_settings(study: Study, found: Importances) -> tuple[str, str] | None:
    """The two most important numeric settings; without importances the first two that varied. None: there are none."""
    numeric = numeric_settings(study)
    ranked = [] if found.table is None else [name for name in found.table["setting"] if name != NOISE]
    varied = [name for name in numeric if completed(study)[name].nunique() > 1]
    names = list(dict.fromkeys(name for name in [*ranked, *varied, *numeric] if name in numeric))
    return (names[0], names[1]) if len(names) > 1 else None


def fit_surface(x: NDArray[np.float64], y: NDArray[np.float64], score: NDArray[np.float64], at: Surface) -> Surface:
    """A Gaussian process with noise: what the two settings do not explain (the other settings, the seeds) is left out.

    Args:
        x, y: shares of the two ranges, from 0 to 1, (N,).
        score: (N,).
        at: where to look, as shares; its scores are replaced.

    Returns:
        The surface; NaN where it is unsure by more than half of what scores vary, as far from all trials.
    """
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    spread = float(score.std()) or 1.0
    # Length scales below a fifth of the range would follow single trials.
    kernel = ConstantKernel(1.0, (1e-3, 1e2)) * RBF([0.5, 0.5], (0.2, 10.0)) + WhiteKernel(0.1, (1e-3, 10.0))
    model = GaussianProcessRegressor(kernel, n_restarts_optimizer=3, random_state=0)
    values = (score - score.mean()) / spread
    grid = np.stack([side.ravel() for side in np.meshgrid(at.x, at.y)], axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a length scale at its bound: the setting does nothing, which is an answer
        model.fit(np.stack([x, y], axis=1), values)
    mean, deviation = model.predict(grid, return_std=True)
    noise = float(model.kernel_.k2.noise_level)
    unsure = np.sqrt(np.clip(deviation**2 - noise, 0, None)) > 0.5
    surface = np.where(unsure, np.nan, score.mean() + spread * mean).reshape(len(at.y), len(at.x))
    inverse = np.linalg.inv(model.kernel_(np.stack([x, y], axis=1)))
    missed = inverse @ values / np.diag(inverse)  # of each trial by the others (Rasmussen and Williams, equation 5.12)
    return Surface(at.x, at.y, surface, 1 - float(np.mean(missed**2)))


def draw_contour(study: Study, names: tuple[str, str] | None) -> Figure:
    """The score over two settings.

    Args:
        names: horizontal and vertical; None: there are no two, and the picture says so.
    """
    if names is None:
        return note_alone("No contour: the space has fewer than two settings with an order.")
    figure = Figure(figsize=(7.2, 5.0), layout="constrained")
    axes = figure.subplots()
    scales = (scale_of(study, names[0]), scale_of(study, names[1]))
    ranked = completed(study)
    scores = ranked["score"].astype(float)
    low, high = (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
    limits = (low, high) if high > low else (low - 0.5, high + 0.5)
    scales[0].label_x(axes)
    scales[1].label_y(axes)
    for scale, line in zip(scales, (axes.axvline, axes.axhline), strict=True):
        for place in range(1, len(scale.choices or ())):
            line(place - 0.5, color=GREY, linewidth=0.6, alpha=0.5)  # points are spread within a choice
    title = _surface(axes, study, names, scales, limits)
    _hollow(axes, study, names, scales)
    if len(ranked):
        colours = axes.scatter(
            *_places(ranked, names, scales),
            c=scores,
            cmap=score_colours(study),
            vmin=limits[0],
            vmax=limits[1],
            s=46,
            edgecolors="white",
            linewidths=0.8,
            zorder=4,
            clip_on=False,
            label="complete",
        )
        if high > low:
            bar = figure.colorbar(colours, ax=axes, label=objective_label(study))
            bar.ax.ticklabel_format(axis="y", useOffset=False)
        x, y = _places(ranked.iloc[:1], names, scales)
        axes.scatter(x, y, facecolors="none", edgecolors=ORANGE, s=150, linewidths=2, zorder=5, label="best")
    axes.set_xlabel(names[0])
    axes.set_ylabel(names[1])
    figure.suptitle(title, fontsize=9, x=0.01, ha="left")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    return figure


def _surface(
    axes: Axes, study: Study, names: tuple[str, str], scales: tuple[Scale, Scale], limits: tuple[float, float]
) -> str:
    """Draw it where there is enough to draw; says what was drawn, or why nothing was."""
    ranked = completed(study)
    few = [name for name in names if ranked[name].nunique() < 2]
    if len(ranked) < SURFACE_TRIALS:
        return (
            f"Points alone: {len(ranked)} of {len(study.trials)} trials are complete, and a surface through fewer than "
            f"{SURFACE_TRIALS}\nwould be drawn from imagination."
        )
    if few or ranked["score"].nunique() < 2:
        return f"Points alone: {', '.join(few) or 'the score'} has one value in all complete trials."
    x, y = (scale.share(ranked[name]) for name, scale in zip(names, scales, strict=True))
    edges = [_edges(scale) for scale in scales]
    centres = [_centres(scale, edge) for scale, edge in zip(scales, edges, strict=True)]
    at = Surface(scales[0].share_of(centres[0]), scales[1].share_of(centres[1]), np.zeros((1, 1)), 0.0)
    surface = fit_surface(x, y, ranked["score"].to_numpy(np.float64), at)
    if surface.explained < MIN_EXPLAINED:
        return (
            f"Points alone: a surface over these two settings predicts {max(surface.explained, 0):.0%} of the variance "
            "of trials that are\nleft out of it. The score depends on other settings, or on nothing but the seed."
        )
    colours = score_colours(study)
    style: dict[str, Any] = {"cmap": colours, "vmin": limits[0], "vmax": limits[1], "zorder": 0}
    axes.pcolormesh(edges[0], edges[1], surface.score, alpha=0.55, linewidth=0, rasterized=True, **style)
    axes.set_xlim(edges[0][0], edges[0][-1])
    axes.set_ylim(edges[1][0], edges[1][-1])
    if all(scale.choices is None for scale in scales) and np.isfinite(surface.score).any():
        lines = axes.contour(centres[0], centres[1], surface.score, levels=6, colors="white", linewidths=0.7, zorder=1)
        axes.clabel(lines, fontsize=7, fmt="%.3g")
    return (
        f"Surface: a Gaussian process over {len(ranked)} complete trials. It predicts {surface.explained:.0%} of the "
        "variance of trials left out,\nthe rest is of other settings and seeds. White: too few trials nearby."
    )


def _hollow(axes: Axes, study: Study, names: tuple[str, str], scales: tuple[Scale, Scale]) -> None:
    """Stopped trials without a colour: their scores are of less budget."""
    rest = study.trials[~study.trials["number"].isin(completed(study)["number"])]
    for pruned, marker, label in ((True, "o", "stopped early"), (False, "x", "diverged or failed")):
        rows = rest[(rest["state"] == PRUNED) == pruned]
        if len(rows):
            # White inside, as on a dark surface an empty circle can't be seen.
            style: dict[str, Any] = {"facecolors": "white", "edgecolors": "black"} if pruned else {"color": "black"}
            style["clip_on"] = False
            axes.scatter(*_places(rows, names, scales), marker=marker, s=34, zorder=3, label=label, **style)


def _places(
    rows: pd.DataFrame, names: tuple[str, str], scales: tuple[Scale, Scale]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Choices are spread a little within their column or row, the same for a trial every time, or they would hide each
    other."""
    found = []
    for name, scale, ratio in zip(names, scales, (0.6180339887, 0.7548776662), strict=True):
        places = scale.places(rows[name])
        if scale.choices is not None:
            numbers = rows["number"].to_numpy(np.float64)
            places = places + ((numbers * ratio + 0.5) % 1 - 0.5) * _JITTER
        found.append(places)
    return found[0], found[1]


def _edges(scale: Scale) -> NDArray[np.float64]:
    """Of the surface's cells: one a choice, or many over a range."""
    if scale.choices is not None:
        return np.arange(len(scale.choices) + 1, dtype=np.float64) - 0.5
    shares: NDArray[np.float64] = np.linspace(0, 1, _CELLS + 1, dtype=np.float64)
    if scale.log:
        return np.array(scale.low * (scale.high / scale.low) ** shares, np.float64)
    return np.array(scale.low + (scale.high - scale.low) * shares, np.float64)


def _centres(scale: Scale, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    below, above = edges[:-1], edges[1:]
    return np.asarray(np.sqrt(below * above) if scale.log else (below + above) / 2, dtype=np.float64)
