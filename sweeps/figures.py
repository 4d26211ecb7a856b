"""Pictures of a study's report."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sweeps.config import SweepConfig
from sweeps.curves import draw_curves
from sweeps.job import scored_points
from sweeps.paths import StudyPaths, TrialPaths
from tsvan.journal import Journal


def draw_figures(summary: dict[str, Any], config: SweepConfig, paths: StudyPaths) -> list[tuple[str, Path]]:
    """Draw all pictures into `figures/`.

    Returns:
        (title, file), in the order of the report.
    """
    paths.figures.mkdir(parents=True, exist_ok=True)
    figures = [
        ("Scores of the trials", _history(summary, config, paths.figures / "trials.png")),
        ("Score over the iterations", _learning_curves(summary, config, paths)),
        ("Score by setting; pruned trials are hollow", _slices(summary, config, paths.figures / "settings.png")),
    ]
    best = summary["best"]
    if best is not None:
        trial = paths.trial(best["number"])
        draw_curves(trial.metrics, paths.figures / "best_losses.png")
        figures.append((f"Losses of trial {best['number']}", paths.figures / "best_losses.png"))
    figures += _sheets(summary, paths)
    return [(title, file) for title, file in figures if file.exists()]


def _history(summary: dict[str, Any], config: SweepConfig, out: Path) -> Path:
    figure, axes = _figure()
    for state, marker in (("complete", "o"), ("pruned", "x")):
        rows = [t for t in summary["trials"] if t["state"] == state and t["score"] is not None]
        axes.plot([t["number"] for t in rows], [t["score"] for t in rows], marker, label=state)
    axes.set_xlabel("trial")
    axes.set_ylabel(config.objective.metric)
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


def _slices(summary: dict[str, Any], config: SweepConfig, out: Path) -> Path:
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
    figure.savefig(out, dpi=100)
    return out


def _sheets(summary: dict[str, Any], paths: StudyPaths) -> list[tuple[str, Path]]:
    """The last contact sheets: of the best trial, and of the final stage's first runs. Same group, same latents."""
    folders = []
    if summary["best"] is not None:
        folders.append((f"Samples of trial {summary['best']['number']}", paths.trial(summary["best"]["number"])))
    if summary["final"] is not None:
        rows = [summary["final"]["winner"], *([] if summary["final"]["same"] else [summary["final"]["published"]])]
        folders += [
            (f"Final samples, {row['role']}", TrialPaths(Path(row["folders"][0]))) for row in rows if row["folders"]
        ]
    found = []
    for number, (title, folder) in enumerate(folders):
        sheets = sorted(folder.samples.glob("iter-*.png"))
        if sheets:
            found.append((title, Path(shutil.copyfile(sheets[-1], paths.figures / f"samples_{number}.png"))))
    return found


def _figure() -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.2), layout="constrained")
    return figure, figure.subplots()


def _place(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
