"""The trials that can't be told from the best, in words: for the report, MLflow and the notebooks."""

from __future__ import annotations

from sweeps.final import seed_noise
from sweeps.final.seed_noise import NearBest
from sweeps.final.statistics import Noise
from sweeps.report.plotted import PlottedStudy
from tsvan.terminal import counted

_LISTED = 20  # trials of a set that are named


def near_best(study: PlottedStudy, noise: Noise | None) -> NearBest | None:
    """Find the trials that can't be told from the best; None: the noise is not known, or no trial is complete."""
    scores = {trial.number: trial.score or 0.0 for trial in study.complete}
    return seed_noise.near_best(study.config, noise, scores, {trial.number: trial.params for trial in study.complete})


def near_best_lines(study: PlottedStudy, noise: Noise | None, near: NearBest | None) -> list[str]:
    """Say the noise between seeds, the trials that can't be told from the best, and the cheapest of them."""
    metric = study.config.objective.metric
    if noise is None:
        return [
            "The noise between training seeds is not known: no config was trained with two and scored as trials are. "
            "`--calibrate 5` trains the published row with five; without it, small differences say nothing."
        ]
    known = (
        f"Between training seeds of one config {metric} has a standard deviation of {noise.std:.3g} "
        f"({noise.source}; {counted(noise.dof, 'degree')} of freedom)."
    )
    if near is None:
        return [f"{known} No trial is complete."]
    if near.complete == 1:
        return [f"{known} Only trial {near.cheapest} is complete."]
    by_number = {trial.number: trial for trial in study.complete}
    others = ", ".join(f"{number} ({by_number[number].score:.4g})" for number in near.trials[:_LISTED])
    others += f" and {len(near.trials) - _LISTED} more" if len(near.trials) > _LISTED else ""
    saved = 1 - near.gflop[near.cheapest] / near.gflop[near.trials[0]]
    cheaper = f", {saved:.0%} less work than trial {near.trials[0]}" if saved > 0.005 else ""
    return [
        f"{known} So a trial whose score lies within {near.margin:.3g} of the best may be the best (Hsu's multiple "
        "comparisons with the best, 95%).",
        "",
        f"**{len(near.trials)} of {near.complete} complete trials can't be told from the best**: {others}.",
        "",
        f"The cheapest of them is **trial {near.cheapest}** "
        f"(ngf {by_number[near.cheapest].params.get('ngf', '-')}{cheaper}).",
    ]
