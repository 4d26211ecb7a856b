"""`report.md`: what a study found, to read. `page.py` makes one page of it that opens anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sweeps.config.schema import SweepConfig
from sweeps.data import clips_line
from sweeps.final.reruns import FinalResult
from sweeps.final.rival import Rival
from sweeps.report.plots import draw_figures
from sweeps.report.rival import rival_lines
from sweeps.report.samples import Picture
from sweeps.report.scorer_section import trust_lines
from sweeps.report.tables import (
    escaped,
    final_table,
    metrics_table,
    reproduce_table,
    seeds_lines,
    settings_table,
    trials_table,
)
from sweeps.state.paths import StudyPaths
from tsvan.files import write_atomically

_LISTED = 20  # trials of a set that are named


def write_report(
    summary: dict[str, Any],
    final: FinalResult | None,
    pictures: list[Picture],
    config: SweepConfig,
    paths: StudyPaths,
    uri: str,
    rival: Rival | None = None,
) -> None:
    """Write `report.md` with its figures.

    Args:
        pictures: of the samples.
        uri: of the tracking store, without secrets.
        rival: another study whose final numbers are set beside.
    """
    figures = draw_figures(summary, final, config, paths)
    plots = [line for name, figure in figures.items() if name != "final" for line in _shown(*figure, paths)]
    sections = {
        "": _opening(summary, config, paths),
        "Result": _result(final, summary, config, figures.get("final"), paths),
        "Settings, as in table 3 of the paper's supplement": settings_table(final, config),
        "Metrics": metrics_table(final, summary, rival),
        **({} if rival is None else {f"Beside {rival.title}": rival_lines(final, rival, config)}),
        "What can't be told apart": near_best_lines(summary, config),
        "Samples": [line for picture in pictures for line in _shown(picture.title, picture.file, paths)],
        "Trials": [*trials_table(summary["trials"], config), "", *plots],
        "Can the scorer be trusted?": trust_lines(summary["scorer"]),
        "How to reproduce each row": reproduce_table(summary, uri),
        "All settings": ["```yaml", *yaml.safe_dump(summary["config"], sort_keys=False).splitlines(), "```"],
        "Versions": [", ".join(f"{name} {value}" for name, value in summary["versions"].items())],
    }
    text = [f"# {config.dataset}: study {escaped(paths.root.name)}", ""]
    for title, lines in sections.items():
        text += [*([f"## {title}", ""] if title else []), *lines, ""]
    write_atomically(paths.report, "\n".join(text))


def _opening(summary: dict[str, Any], config: SweepConfig, paths: StudyPaths) -> list[str]:
    objective = config.objective
    caution = _caution(config, summary)
    return [
        f"Preset {config.preset}, seed {config.seed}, data {summary['data_source']} "
        f"(`{summary['store']['content_hash'][:12]}`), scorer `{summary['scorer']['hash'][:12]}`. "
        f"Objective: {objective.metric} ({objective.direction}).",
        "",
        clips_line(summary["store"]),
        *(["", caution] if caution else []),
    ]


def _result(
    final: FinalResult | None,
    summary: dict[str, Any],
    config: SweepConfig,
    figure: tuple[str, Path] | None,
    paths: StudyPaths,
) -> list[str]:
    if final is None:
        return ["There is no final result."]
    seeds = len(final.winner.seeds)
    values = summary["final"]
    lines = [
        f"**{final.verdict}**",
        "",
        f"Best: {escaped(final.winner.origin)}. {'It was' if final.same else 'Both configs were'} trained with "
        f"{'' if final.same else 'the same '}{seeds} fresh seed(s); every run was scored once, at its end, on the "
        f"sealed `report` group of {final.num_clips:,} clips.",
        "",
        *([] if final.same else [*final_table(final), ""]),
        *seeds_lines(final, config.objective.metric),
    ]
    if final.confirm:
        ranked = ", ".join(f"`{key}` {value:.4g}" for key, value in final.confirm.items())
        lines += ["", f"The best were ranked before on the `confirm` group, with fresh seeds of their own: {ranked}."]
    runs = (1 if final.same else 2) * seeds
    lines += [
        "",
        f"Looks at the sealed group so far: {values['looks']}, by {runs} run(s) of this choice; it was opened for "
        f"{values['choices']} choice(s). Each further choice makes a lucky one likelier.",
        "",
        *(_shown(*figure, paths) if figure is not None else []),
    ]
    return lines


def near_best_lines(summary: dict[str, Any], config: SweepConfig) -> list[str]:
    """The noise between seeds, the trials that can't be told from the best, and the cheapest of them."""
    found, metric = summary["near_best"], config.objective.metric
    if summary["noise"] is not None and found is None:
        return [f"The noise between training seeds is known ({summary['noise']['source']}), but no trial is complete."]
    if found is None:
        return [
            "The noise between training seeds is not known: no config was trained with two and scored as trials are. "
            "`--calibrate 5` trains the published row with five; without it, small differences say nothing."
        ]
    if found["complete"] == 1:
        return [f"Only trial {found['cheapest']} is complete."]
    noise, near = found["noise"], found["trials"]
    by_number = {trial["number"]: trial for trial in summary["trials"]}
    cheapest = by_number[found["cheapest"]]
    others = ", ".join(f"{number} ({by_number[number]['score']:.4g})" for number in near[:_LISTED])
    others += f" and {len(near) - _LISTED} more" if len(near) > _LISTED else ""
    saved = 1 - found["gflop"][found["cheapest"]] / found["gflop"][near[0]]
    cheaper = f", {saved:.0%} less work than trial {near[0]}" if saved > 0.005 else ""
    return [
        f"Between training seeds of one config {metric} has a standard deviation of {noise['std']:.3g} "
        f"({noise['source']}; {noise['dof']} degree(s) of freedom). So a trial whose score lies within "
        f"{found['margin']:.3g} of the best may be the best (multiple comparisons with the best, 95%).",
        "",
        f"**{len(near)} of {found['complete']} complete trials can't be told from the best**: {others}.",
        "",
        f"The cheapest of them is **trial {found['cheapest']}** (ngf {cheapest['params'].get('ngf', '-')}{cheaper}).",
    ]


def _caution(config: SweepConfig, summary: dict[str, Any]) -> str:
    notes = []
    if summary["data_source"] == "synthetic":
        notes.append("drawn stand-in clips, so the numbers say nothing about the dataset")
    if config.preset != "paper":
        notes.append(f"{config.base.schedule.total:,} iterations, far from the paper's budget")
    refused = summary["scorer"].get("objective_refused")
    if refused:
        notes.append(f"the objective fails its sensitivity check ({refused})")
    return f"**Take care:** {'; '.join(notes)}." if notes else ""


def _shown(title: str, file: Path, paths: StudyPaths) -> list[str]:
    """A picture, or a link to a film: Markdown has no films, the page plays them."""
    mark = "" if file.suffix == ".mp4" else "!"
    return [f"{mark}[{escaped(title)}]({file.relative_to(paths.root)})", ""] if file.exists() else []
