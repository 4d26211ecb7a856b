"""Tables of the report, as Markdown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.config.space import row_name
from sweeps.final.reruns import FinalResult, Reported
from sweeps.final.rival import Rival
from sweeps.final.statistics import WITHOUT_INTERVAL, Interval, decimals, shown
from sweeps.report.plotted import PlottedStudy
from sweeps.state.job import MENDED
from tsvan.run_config import TrainConfig
from tsvan.scoring.metrics import DIRECTIONS
from tsvan.state_file import read_state
from tsvan.terminal import counted

FEW_SEEDS = 5
"""With fewer, every point is shown."""

_TITLES = {
    "inter_entropy": "H(y)",
    "intra_entropy": "H(y\\|v)",
    "inception_score": "IS",
    "label_agreement": "accuracy",
    "kernel_distance": "kernel distance",
    "frechet_distance": "Frechet distance",
    "fvd_i3d": "FVD (I3D)",
}
MOST_ROWS = 200
"""Trials in a table for people."""


def final_table(final: FinalResult) -> list[str]:
    """Tabulate every metric of winner and published row, and their paired difference."""
    names = _names({**final.winner.scores, **final.published.scores})
    rows = []
    for name in names:
        both = [cell(name, row.scores.get(name)) for row in (final.winner, final.published)]
        rows.append([name, *both, cell(name, final.differences.get(name), sign="+")])
    return [
        *table(["metric", "best", "published row", "best - published"], rows),
        "",
        "Mean and 95% t interval over the seeds; the difference is paired by seed, and its interval alone decides.",
    ]


def metrics_table(final: FinalResult | None, summary: dict[str, Any], rival: Rival | None = None) -> list[str]:
    """Tabulate H(y), H(y|v), IS, accuracy and distances with N, between the bounds that real and broken clips set."""
    bounds = summary["scorer"]["sensitivity"]
    configs = [] if final is None else [final.winner] if final.same else [final.winner, final.published]
    measured = {name: True for scores in (bounds["rows"]["real"], *(c.scores for c in configs)) for name in scores}
    names = [*(name for name in _TITLES if name in measured), *(name for name in measured if name not in _TITLES)]
    directions = {**DIRECTIONS, **summary["scorer"].get("directions", {})}
    arrows = {name: "↓" if directions.get(name) == "minimize" else "↑" for name in names}
    head = ["clips", "N", *(f"{_TITLES.get(name, name)} {arrows[name]}" for name in names)]
    rows = []
    for row in configs:
        values = [cell(name, row.scores.get(name)) for name in names]
        rows.append([f"**{row.role}** ({escaped(row.origin)})", f"{final.num_clips if final else 0:,}", *values])
    if rival is not None:
        values = [cell(name, rival.winner.scores.get(name)) for name in names]
        rows.append([f"**{rival.title}** ({escaped(rival.winner.origin)})", f"{rival.num_clips:,}", *values])
    sizes = f"{bounds['num_clips']:,} ({bounds['num_distance_clips']:,})"
    clips = clips_word(summary["data_source"])
    for kind, bound in bounds["rows"].items():
        title = f"{clips}, held out" if kind == "real" else f"{kind} ({clips} clips, broken)"
        rows.append([title, sizes, *(f"{bound[name]:.4g}" if name in bound else "-" for name in names)])
    return [
        *table(head, rows),
        "",
        f"Mean over the seeds [95% t interval]. {clips.capitalize()} clips are the bound that a perfect generator "
        "would reach; in brackets the N of their distances. Scores grow with N, see below. The Frechet distance is on "
        "this scorer's features and is no I3D FVD; it has no interval, as resampling biases it"
        + ("." if _comparable(configs) else ", and with fewer than 1,024 clips on either side it is not comparable."),
    ]


def shortlist_table(final: FinalResult, metric: str) -> list[str]:
    """Tabulate the candidates of the confirm stage: why they were chosen, and what fresh seeds said of them."""
    rows = []
    for one in final.shortlist:
        found = one.smoothed
        about = ["-", "-"] if found is None else [f"{found.mean:.4g}", f"[{found.low:.4g}, {found.high:.4g}]"]
        score = one.score if one.score is not None else found.score if found is not None else None
        rows.append([escaped(one.origin), f"`{one.key}`", _number(score), *about, _number(one.confirmed)])
    chosen = (
        "by the mean that a Gaussian process through all complete trials has at their settings, since the best single "
        "score is partly luck"
        if any(one.smoothed is not None for one in final.shortlist)
        else "by their scores, as there are too few complete trials for more"
    )
    return [
        f"The best were trained again before, with fresh seeds of their own, on the `confirm` group, and the published "
        f"row with them. They were chosen {chosen}:",
        "",
        *table(["candidate", "key", f"{metric}, one seed", "mean", "95% of the mean", "confirmed"], rows),
    ]


def seeds_lines(final: FinalResult, metric: str) -> list[str]:
    """Say the objective by seed, beside its value in the sweep, by which the config was chosen."""
    rows = [final.winner] if final.same else [final.winner, final.published]
    return [line for row in rows for line in _seeds(row, metric)]


def settings_table(final: FinalResult | None, config: SweepConfig) -> list[str]:
    """Tabulate what tells configs of the model apart, the published row first."""
    rows = [(row_name(config), config.published)]
    if final is not None:
        rivals = [final.winner] if final.same else [final.winner, final.published]
        rows += [(f"{row.role} ({escaped(row.origin)})", TrainConfig.from_dict(row.config)) for row in rivals]
    return table(["", *config.published.columns], [[name, *train.columns.values()] for name, train in rows])


def trials_table(study: PlottedStudy) -> list[str]:
    """Tabulate the complete trials, best first; then the others, which had less budget. Of many trials the best."""
    names, ranked = list(study.config.space), [*study.complete, *study.others]
    rows = [
        [
            str(trial.number),
            *(_number(trial.params.get(name)) for name in names),
            "-" if trial.score is None else f"{trial.score:.{study.digits}f}",
            f"{trial.iteration:,}",
            "-" if trial.seconds is None else f"{trial.seconds / 60:.1f}",
            trial.state,
            escaped(trial.reason or ("" if trial.origin == "sampler" else trial.origin)),
        ]
        for trial in ranked[:MOST_ROWS]
    ]
    head = ["trial", *names, study.config.objective.metric, "iteration", "minutes", "state", ""]
    return [*table(head, rows), *_left_out(len(ranked))]


def reproduce_table(summary: dict[str, Any], uri: str) -> list[str]:
    """Tabulate, for each run that a number comes from, what trains it again."""
    runs = [(f"trial {trial['number']}", trial["mlflow_run_id"]) for trial in summary["trials"]]
    runs += [(f"{run['name']} (seed {run['seed']})", run["mlflow_run_id"]) for run in summary["reruns"]]
    command = "python tune_runner.py reproduce {} --tracking-uri " + shlex.quote(uri)
    rows = [[name, f"`{command.format(run)}`"] for name, run in runs if run]
    return table(["run", "command"], rows) if rows else ["No run is in MLflow."]


def _left_out(trials: int) -> list[str]:
    """Say how many trials a table leaves out, and where they are; nothing where it has them all."""
    more = f"{trials - MOST_ROWS:,} more trials are in `summary.json`, in MLflow and in what `status` prints."
    return ["", more] if trials > MOST_ROWS else []


def clips_word(data_source: str) -> str:
    """Say what clips are by where they come from: `real`, or `stand-in`, which are never called real."""
    return "stand-in" if data_source == "synthetic" else "real"


def looks_line(values: Mapping[str, Any], runs: int) -> str:
    """Say how often the sealed group was opened, and what that means.

    Args:
        values: of the summary's final stage.
        runs: runs of this choice.
    """
    return (
        f"The sealed `report` group was looked at {counted(values['looks'], 'time')} so far, by {counted(runs, 'run')} "
        f"of this choice; it was opened for {counted(values['choices'], 'choice')} of a winner. Each further choice "
        "makes a lucky one likelier."
    )


def reruns_table(reruns: list[dict[str, Any]], metric: str) -> list[str]:
    """Tabulate every config that was trained with fresh seeds: its scores by seed, mean and standard deviation, in
    each stage's own group of clips. Empty: none was."""
    groups: dict[tuple[str, str], list[float]] = {}
    for run in reruns:
        if run["score"] is not None:
            groups.setdefault((run["stage"], run["config"]), []).append(run["score"])
    rows = [
        [stage, config, str(len(values)), ", ".join(f"{value:.5g}" for value in values), f"{mean(values):.5g}",
         f"{stdev(values):.3g}" if len(values) > 1 else "-"]
        for (stage, config), values in groups.items()
    ]  # fmt: skip
    return table(["stage", "config", "seeds", f"{metric} by seed", "mean", "standard deviation"], rows) if rows else []


def cell(name: str, value: Interval | None, sign: str = "") -> str:
    """Write out a mean with its interval, and with few seeds every value."""
    if value is None:
        return "-"
    text = shown(name, value, sign)
    digits = ".4g" if name in WITHOUT_INTERVAL else f".{decimals(value)}f"
    few = 1 < len(value.values) < FEW_SEEDS
    return f"{text} ({', '.join(f'{v:{sign}{digits}}' for v in value.values)})" if few else text


def escaped(text: str) -> str:
    """Escape text of somebody else for Markdown: shown as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """Make a Markdown table."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _names(scores: dict[str, Interval]) -> list[str]:
    """Order metrics: those that ship, then the user's own."""
    return [*(name for name in DIRECTIONS if name in scores), *(name for name in scores if name not in DIRECTIONS)]


def _seeds(row: Reported, metric: str) -> list[str]:
    values = row.by_seed(metric).values()
    swept = (
        ""
        if row.sweep_values is None
        else f"; in the sweep, by which it was chosen, {row.sweep_values.get(metric, float('nan')):.4g}"
    )
    by_seed = ", ".join(f"{value:.4g}" for value in values) or "none"
    lines = [f"- {row.role} ({escaped(row.origin)}), {metric} by seed: {by_seed}{swept}"]
    clips = [bounds[metric] for bounds in row.bootstrap if metric in bounds and metric not in WITHOUT_INTERVAL]
    if clips:
        lines.append(
            "  - bootstrap over clips, for display, by seed: "
            + ", ".join(f"[{low:.4g}, {high:.4g}]" for low, high in clips)
        )
    return lines + [f"  - seed {seed}: {escaped(reason)}" for seed, reason in row.failed.items()]


def _comparable(rows: list[Reported]) -> bool:
    found = [read_state(folder.scores, dict[str, Any], MENDED) for row in rows for folder in row.completed]
    known = [scores for scores in found if scores is not None]
    return bool(known) and all(scores.get("frechet_comparable", False) for scores in known)


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
