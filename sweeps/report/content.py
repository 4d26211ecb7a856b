"""What the report of a finished study says, section by section; the first one is its first screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from sweeps.config.schema import SweepConfig
from sweeps.data import clips_line
from sweeps.final.reruns import FinalResult
from sweeps.final.rival import Rival
from sweeps.final.seed_noise import NearBest
from sweeps.final.statistics import Noise
from sweeps.report.cost import plot_cost, spending
from sweeps.report.importance import importances, most_important, plot_importances
from sweeps.report.learning_curves import plot_learning_curves
from sweeps.report.near_best import near_best_lines
from sweeps.report.plots import (
    plot_best_so_far,
    plot_contour,
    plot_parallel,
    plot_seeds,
    plot_slices,
)
from sweeps.report.plotted import PlottedStudy
from sweeps.report.rival import rival_lines
from sweeps.report.scorer_section import trust_lines
from sweeps.report.sections import TRIALS, Part, Picture, Plot, Section, lines
from sweeps.report.tables import (
    clips_word,
    escaped,
    final_table,
    looks_line,
    metrics_table,
    reproduce_table,
    reruns_table,
    seeds_lines,
    settings_table,
    shortlist_table,
    trials_table,
)
from tsvan.terminal import counted


def final_sections(
    summary: dict[str, Any],
    final: FinalResult | None,
    noise: Noise | None,
    near: NearBest | None,
    study: PlottedStudy,
    pictures: Sequence[Picture],
    config: SweepConfig,
    uri: str,
    rival: Rival | None = None,
) -> list[Section]:
    """List the sections of a finished study's report.

    Args:
        summary: as written to `summary.json`.
        noise: between training seeds; None: not known.
        near: the trials that can't be told from the best; None: not known.
        study: its trials for the plots.
        pictures: of the samples; the first one is the film that stands on the first screen.
        uri: of the tracking store, without secrets.
        rival: another study whose final numbers are set beside.
    """
    metric = config.objective.metric
    cost, clips = ["", spending(study).text], clips_word(summary["data_source"])
    return [
        Section("", first_screen(summary, final, study, pictures[:1], config)),
        Section("Result", _result(final, summary, config)),
        Section("Settings", [lines(settings_table(final, config))]),
        Section("Metrics", [lines(metrics_table(final, summary, rival))]),
        *([] if rival is None else [Section(f"Beside {rival.title}", [lines(rival_lines(final, rival, config))])]),
        Section("What can't be told apart", [lines(near_best_lines(study, noise, near)), *_noise(summary, metric)]),
        Section("Samples", pictures[1:]),
        Section(TRIALS, [lines([*trials_table(study), *cost]), *trial_plots(study, near)]),
        Section("Can the scorer be trusted?", [lines(trust_lines(summary["scorer"], clips))]),
        Section("How to reproduce each row", [lines(reproduce_table(summary, uri))]),
        Section("All settings", [f"```yaml\n{yaml.safe_dump(summary['config'], sort_keys=False)}```"]),
        Section("Versions", [", ".join(f"{name} {value}" for name, value in summary["versions"].items())]),
    ]


def first_screen(
    summary: dict[str, Any],
    final: FinalResult | None,
    study: PlottedStudy,
    films: Sequence[Picture],
    config: SweepConfig,
) -> list[Part]:
    """Say what was found: the verdict, one film of real and generated clips, and the best score so far by trial."""
    metric = config.objective.metric
    if final is None or metric not in final.winner.scores:
        verdict = "There is no final result."
    else:
        against = "" if final.same else f" ({metric} of {escaped(final.winner.origin)} minus the published row's)"
        verdict = final.verdict + against
    caution = _caution(config, summary)
    text = [f"**{verdict}**", *(["", caution] if caution else [])]
    figure = plot_best_so_far(study).update_layout(height=270)
    return [lines(text), *films, Plot("The best score so far, trial by trial", figure)]


def trial_plots(study: PlottedStudy, near: NearBest | None) -> list[Plot]:
    """Plot the trials in every way that shows something."""
    found = importances(study)
    pair = most_important(study, found)
    plots = [
        Plot("Score over the iterations; dotted: stopped before the end", plot_learning_curves(study)),
        Plot("Score by setting; hollow: stopped early", plot_slices(study)),
        Plot("Every complete trial as a line through its settings", plot_parallel(study)),
        Plot(found.note, plot_importances(found)) if found.settings else Plot("Importances", plot_importances(found)),
    ]
    if len(pair) == 2:
        plots.append(Plot(f"Score over {pair[0]} and {pair[1]}, interpolated by Optuna", plot_contour(study, pair)))
    return [*plots, Plot("What a score costs; shaded: can't be told from the best", plot_cost(study, near))]


def _result(final: FinalResult | None, summary: dict[str, Any], config: SweepConfig) -> list[Part]:
    about = [
        f"Preset {config.preset}, seed {config.seed}, data {summary['data_source']} "
        f"(`{summary['store']['content_hash'][:12]}`), scorer `{summary['scorer']['hash'][:12]}`. "
        f"Objective: {config.objective.metric} ({config.objective.direction}).",
        *([f"Why that one: {why}."] if (why := summary["scorer"].get("objective_why")) else []),
        *(f"Warm start: {escaped(line)}." for line in summary.get("warm_start", [])),
        "",
        clips_line(summary["store"]),
        "",
    ]
    if final is None:
        return [lines(about)]
    seeds, values = len(final.winner.seeds), summary["final"]
    both = "It was trained with" if final.same else "Both configs were trained with the same"
    text = [
        *about,
        f"Best: {escaped(final.winner.origin)}. {both} {counted(seeds, 'fresh seed')}; every run was scored once, at "
        f"its end, on the sealed `report` group of {final.num_clips:,} clips.",
        "",
        *([] if final.same else [*final_table(final), ""]),
        *seeds_lines(final, config.objective.metric),
    ]
    if final.shortlist:
        text += ["", *shortlist_table(final, config.objective.metric)]
    elif final.confirm:
        ranked = ", ".join(f"`{key}` {value:.4g}" for key, value in final.confirm.items())
        text += ["", f"The best were ranked before on the `confirm` group, with fresh seeds of their own: {ranked}."]
    runs = (1 if final.same else 2) * seeds
    text += ["", looks_line(values, runs)]
    plotted = plot_seeds(final, [config.objective.metric], config.directions)
    return [lines(text), Plot("Every seed, and the paired differences", plotted)]


def _noise(summary: dict[str, Any], metric: str) -> list[Part]:
    table = reruns_table(summary["reruns"], metric)
    head = ["Every config that was trained again; stages are scored on different clips:", ""]
    return [lines([*head, *table])] if table else []


def _caution(config: SweepConfig, summary: dict[str, Any]) -> str:
    notes = []
    if summary["data_source"] == "synthetic":
        notes.append("drawn stand-in clips, so the numbers say nothing about the dataset")
    architecture = getattr(config.base.model, "architecture", "paper")
    if architecture != "paper":
        notes.append(f"the {architecture} architecture, not the paper's")
    if config.preset != "paper":
        notes.append(f"{config.base.schedule.total:,} iterations, far from the paper's budget")
    refused = summary["scorer"].get("objective_refused")
    if refused:
        notes.append(f"the objective is weak: {refused}")
    return f"**Take care:** {'; '.join(notes)}." if notes else ""
