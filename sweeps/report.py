"""summary.json and report.md: what a study found, in numbers and to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna

from sweeps.config import SweepConfig
from sweeps.data import clips_line, clips_summary
from sweeps.final import FinalResult, Reported
from sweeps.paths import StudyPaths
from sweeps.session import StudyRecord
from sweeps.statistics import Interval
from sweeps.trust import trust_lines
from sweeps.versions import versions
from tsvan.config import published
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.scoring.metrics import METRICS

STATES = {"RUNNING": "running", "WAITING": "waiting", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


def trial_rows(study: optuna.Study, paths: StudyPaths, config: SweepConfig) -> list[dict[str, Any]]:
    """One row a trial: number, state, params, score, iteration, MLflow run, and what else is known."""
    rows = []
    for trial in study.trials:
        if trial.state.name == "WAITING" or "torn" in trial.user_attrs:
            continue
        attrs = trial.user_attrs
        scores = attrs.get("scores", {})
        rows.append(
            {
                "number": trial.number,
                "state": attrs.get("state", STATES[trial.state.name]),
                "params": trial.params,
                "score": scores.get(config.objective.metric),
                "iteration": attrs.get("iteration", 0),
                "mlflow_run_id": attrs.get("mlflow_run_id") or run_id(paths.trial(trial.number).tracking),
                "scores": scores,
                "reason": attrs.get("reason", ""),
                "origin": attrs.get("origin", "sampler"),
                "seconds": attrs.get("seconds"),
            }
        )
    return rows


def run_id(tracking: Path) -> str | None:
    """The MLflow run of a folder; None while there is none."""
    return (json.loads(tracking.read_text()).get("run_id") or None) if tracking.exists() else None


def summarise(
    config: SweepConfig,
    record: StudyRecord,
    trials: list[dict[str, Any]],
    final: FinalResult | None,
    scorer: dict[str, Any],
    paths: StudyPaths,
    model: str | None,
) -> dict[str, Any]:
    """Write `summary.json`."""
    best, clips = _best(trials, config), clips_summary(ClipStore.open(record.store))
    summary = {
        "dataset": config.dataset,
        "data_source": record.data_source,
        "trials": trials,
        "best": best,
        "final": None if final is None else final.to_dict(),
        "versions": versions(),
        "study_id": record.study_id,
        "preset": config.preset,
        "seed": config.seed,
        "objectives": [vars(objective) for objective in config.objectives],
        "store": {"path": record.store, "content_hash": record.store_hash, **clips},
        "scorer": scorer,
        "mlflow_run_id": run_id(paths.tracking),
        "model": model,
        "config": config.to_dict(),
    }
    write_atomically(paths.summary, json.dumps(summary, indent=1))
    return summary


def write_report(summary: dict[str, Any], final: FinalResult | None, config: SweepConfig, paths: StudyPaths) -> None:
    """Write `report.md` with its figures."""
    from sweeps.figures import draw_figures

    figures = draw_figures(summary, config, paths)
    objective = config.objective
    text = [
        f"# {config.dataset}: study {paths.root.name}",
        "",
        f"Preset {config.preset}, seed {config.seed}, data {summary['data_source']} "
        f"(`{summary['store']['content_hash'][:12]}`), scorer `{summary['scorer']['hash'][:12]}`. "
        f"Objective: {objective.metric} ({objective.direction}).",
        "",
        clips_line(summary["store"]),
        "",
        *([_caution(config, summary), ""] if _caution(config, summary) else []),
        "## Result",
        "",
        *(_final_lines(final, config) if final is not None else ["There is no final result."]),
        "",
        "## Against table 3 of the paper's supplement",
        "",
        *_table_3(final, config),
        "",
        "## Can the scorer be trusted?",
        "",
        *trust_lines(summary["scorer"]),
        "",
        "## Trials",
        "",
        *_trials(summary["trials"], config),
        "",
        "## Pictures",
        "",
        *[f"![{title}]({path.relative_to(paths.root)})\n" for title, path in figures],
        "## Versions",
        "",
        ", ".join(f"{name} {value}" for name, value in summary["versions"].items()),
        "",
    ]
    write_atomically(paths.report, "\n".join(text))


def _best(trials: list[dict[str, Any]], config: SweepConfig) -> dict[str, Any] | None:
    complete = [trial for trial in trials if trial["state"] == "complete" and trial["score"] is not None]
    if not complete:
        return None
    pick = max if config.objective.direction == "maximize" else min
    return pick(complete, key=lambda trial: trial["score"])


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


def _final_lines(final: FinalResult, config: SweepConfig) -> list[str]:
    names = [name for name in METRICS if name in {**final.winner.scores, **final.published.scores}]
    lines = [
        f"**{final.verdict}**",
        "",
        f"Every run was trained with a fresh seed and scored once on the `report` group, N = {final.num_clips} clips. "
        f"Mean over {len(final.winner.seeds)} seed(s) with 95% t interval; last column: paired by seed.",
        "",
        "| metric | best | published row | best - published |",
        "| --- | --- | --- | --- |",
    ]
    for name in names:
        cells = [row.scores.get(name) for row in (final.winner, final.published)]
        lines.append(f"| {name} | {_cell(cells[0])} | {_cell(cells[1])} | {_cell(final.differences.get(name))} |")
    lines += ["", *(line for row in (final.winner, final.published) for line in _seeds(row, config.objective.metric))]
    if final.confirm:
        ranked = ", ".join(f"`{key}` {value:.4g}" for key, value in final.confirm.items())
        lines += ["", f"Ranked on the `confirm` group: {ranked}."]
    return lines


def _seeds(row: Reported, metric: str) -> list[str]:
    values = row.scores[metric].values if metric in row.scores else []
    swept = (
        ""
        if row.sweep_values is None
        else f"; in the sweep, by which it was chosen, {row.sweep_values.get(metric, float('nan')):.4g}"
    )
    lines = [f"- {row.role} ({row.origin}), {metric} by seed: {', '.join(f'{v:.4g}' for v in values) or 'none'}{swept}"]
    clips = [bounds[metric] for bounds in row.bootstrap if metric in bounds]
    if clips:
        lines.append(
            "  - bootstrap over clips, by seed: " + ", ".join(f"[{low:.4g}, {high:.4g}]" for low, high in clips)
        )
    return lines + [f"  - seed {seed}: {reason}" for seed, reason in row.failed.items()]


def _cell(value: Interval | None) -> str:
    if value is None:
        return "-"
    bounds = "" if value.low is None else f" [{value.low:.4g}, {value.high:.4g}]"
    return f"{value.mean:.4g}{bounds}"


def _table_3(final: FinalResult | None, config: SweepConfig) -> list[str]:
    paper = published(config.dataset)
    rows: list[tuple[str, dict[str, Any]]] = [("table 3", paper.to_dict())]
    if final is not None:
        rows.append((f"best ({final.winner.origin})", final.winner.config))
    lines = ["| | λ2 | λ5 | ngf | z_c | iterations |", "| --- | --- | --- | --- | --- | --- |"]
    for name, values in rows:
        loss, model, schedule = values["loss"], values["model"], values["schedule"]
        total = schedule["iterations"] + schedule["pretrain_iterations"]
        weights = f"{loss['lambda5_lower']:.3g} -> {loss['lambda5_upper']:.3g}"
        lines.append(
            f"| {name} | {loss['lambda2']:.3g} | {weights} | {model['ngf']} | {model['content_dim']} | {total:,} |"
        )
    return lines


def _trials(trials: list[dict[str, Any]], config: SweepConfig) -> list[str]:
    names = list(config.space)
    lines = [
        f"| trial | {' | '.join(names)} | {config.objective.metric} | iteration | state | |",
        f"| --- |{' --- |' * (len(names) + 4)}",
    ]
    for trial in trials:
        params = " | ".join(_number(trial["params"].get(name)) for name in names)
        note = trial["reason"] or ("" if trial["origin"] == "sampler" else trial["origin"])
        score = _number(trial["score"])
        lines.append(f"| {trial['number']} | {params} | {score} | {trial['iteration']} | {trial['state']} | {note} |")
    return lines


def _number(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
