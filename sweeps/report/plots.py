"""Pictures of a study's report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.final.reruns import FinalResult
from sweeps.final.statistics import WITHOUT_INTERVAL, Interval
from sweeps.state.job import scored_points
from sweeps.state.paths import StudyPaths
from sweeps.tracking.loss_curves import draw_curves
from tsvan.journal import Journal


def draw_figures(
    summary: dict[str, Any], final: FinalResult | None, config: SweepConfig, paths: StudyPaths
) -> dict[str, tuple[str, Path]]:
    """Draw the plots into `figures/`.

    Returns:
        Name -> (title, file): `trials`, `learning`, `settings`, of a best trial `losses`, of a final stage `final`.
    """
    paths.figures.mkdir(parents=True, exist_ok=True)
    figures = {
        "trials": ("Scores of the trials", _history(summary, config, paths.figures / "trials.png")),
        "learning": ("Score over the iterations", _learning_curves(summary, config, paths)),
        "settings": ("Score by setting; pruned trials are hollow", _slices(summary, config, paths.figures)),
    }
    best = summary["best"]
    if best is not None:
        losses = paths.figures / "losses.png"
        draw_curves(paths.trial(best["number"]).metrics, losses)
        figures["losses"] = (f"Losses of trial {best['number']}", losses)
    (paths.figures / "final.png").unlink(missing_ok=True)
    if final is not None and config.objective.metric in final.winner.scores:
        figures["final"] = ("Every seed's score, and the paired differences", _seeds(final, config, paths.figures))
    return figures


def _seeds(final: FinalResult, config: SweepConfig, folder: Path) -> Path:
    """Each seed as a line from the published row to the winner, and its difference with the mean's interval."""
    from matplotlib.figure import Figure

    metric = config.objective.metric
    rows = [final.winner] if final.same else [final.published, final.winner]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    scores = [row.by_seed(metric) for row in rows]
    for seed in scores[0] if len(scores) == 2 else ():
        if seed in scores[1]:
            left.plot((0, 1), [values[seed] for values in scores], color="0.7", linewidth=1, zorder=1)
    for place, values in enumerate(list(row.values()) for row in scores):
        left.scatter([place] * len(values), values, zorder=2)
        if values:
            left.hlines(sum(values) / len(values), place - 0.15, place + 0.15, color="black", linewidth=1.5)
    left.set_xticks(range(len(rows)), [f"{row.role}\n({row.origin})" for row in rows], fontsize=8)
    left.set_xlim(-0.5, len(rows) - 0.5)
    left.set_ylabel(metric)
    left.ticklabel_format(axis="y", useOffset=False)
    difference = final.differences.get(metric)
    if difference is None:
        right.remove()
    else:
        right.axhline(0, color="0.6", linewidth=0.8)
        right.scatter([0] * len(difference.values), difference.values, color="0.5", label="each seed")
        right.errorbar([0.3], [difference.mean], yerr=_bars(metric, difference), fmt="o", capsize=4, label=_LABEL)
        right.set_xlim(-0.4, 0.7)
        right.set_xticks([])
        right.set_title("winner - published, paired by seed", fontsize=9)
        right.legend(fontsize=7)
    out = folder / "final.png"
    figure.savefig(out, dpi=100)
    return out


_LABEL = "mean, 95% interval"


def _bars(metric: str, value: Interval) -> list[list[float]] | None:
    """Below and above the mean; None: one value has no interval, and none is shown of a Frechet distance."""
    if value.low is None or value.high is None or metric in WITHOUT_INTERVAL:
        return None
    return [[value.mean - value.low], [value.high - value.mean]]


def _history(summary: dict[str, Any], config: SweepConfig, out: Path) -> Path:
    figure, axes = _figure()
    for state, marker in (("complete", "o"), ("pruned", "x")):
        rows = [t for t in summary["trials"] if t["state"] == state and t["score"] is not None]
        axes.plot([t["number"] for t in rows], [t["score"] for t in rows], marker, label=state)
    axes.set_xlabel("trial")
    axes.set_ylabel(config.objective.metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.savefig(out, dpi=100)
    return out


def _learning_curves(summary: dict[str, Any], config: SweepConfig, paths: StudyPaths) -> Path:
    figure, axes = _figure()
    for trial in summary["trials"]:
        points = scored_points(Journal(paths.trial(trial["number"]).metrics))
        pairs = [
            (p.iteration, p.values[config.objective.metric]) for p in points if config.objective.metric in p.values
        ]
        if pairs:
            axes.plot(*zip(*pairs, strict=True), marker=".", linewidth=1, label=str(trial["number"]))
    axes.set_xlabel("iteration")
    axes.set_ylabel(config.objective.metric)
    if 0 < len(summary["trials"]) <= 12:
        axes.legend(title="trial", fontsize=7)
    out = paths.figures / "learning.png"
    figure.savefig(out, dpi=100)
    return out


def _slices(summary: dict[str, Any], config: SweepConfig, folder: Path) -> Path:
    from matplotlib.figure import Figure

    names = list(config.space) or ["number"]
    figure = Figure(figsize=(2.6 * len(names), 2.8), layout="constrained")
    figure.supylabel(config.objective.metric, fontsize=10)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False).flat, names, strict=True):
        for trial in summary["trials"]:
            if trial["score"] is not None:
                fill = "C0" if trial["state"] == "complete" else "none"
                axes.scatter([_place(trial["params"].get(name))], [trial["score"]], facecolors=fill, edgecolors="C0")
        axes.set_xlabel(name)
        axes.ticklabel_format(axis="y", useOffset=False)
    out = folder / "settings.png"
    figure.savefig(out, dpi=100)
    return out


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.ticklabel_format(axis="y", useOffset=False)
    return figure, axes


def _place(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
