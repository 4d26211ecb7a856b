"""Several studies side by side: what each had found after how many hours, with which settings, and its verdict."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import pandas as pd
import plotly.graph_objects as go

from analysis.reading import COMPLETE, Study, read_study
from analysis.store import connect, finished_studies
from sweeps.report.plots import note, styled
from tsvan.validation import UserError


def read_studies(uri: str, names: str | None = None) -> list[Study]:
    """Read several studies.

    Args:
        uri: tracking store.
        names: names or ids of parent runs, with commas between them; None: all finished studies of the store that are
            of the newest one's dataset and objective, oldest first.

    Raises:
        UserError: no such store or study.
    """
    if names is not None:
        return [read_study(uri, name.strip()) for name in names.split(",") if name.strip()]
    found = [read_study(uri, run_id) for run_id in finished_studies(connect(uri))]
    if not found:
        raise UserError(f"no finished study in {uri}; set TSVAN_TRACKING_URI to a store that has some")
    newest = found[-1].config
    return [one for one in found if (one.config.dataset, one.config.objective) == (newest.dataset, newest.objective)]


def best_so_far(study: Study) -> pd.DataFrame:
    """Return the best score of a complete trial by hours of trials: `hours`, `score`, `number` of that trial.

    The hours of all trials are added up in the order of their numbers, those that were stopped or failed among them.
    They are hours of a GPU where each trial had one; where several shared one, each counts what it took.
    """
    objective, rows = study.config.objective, []
    trials = study.trials.sort_values("number")
    hours = accumulate(trials["seconds"].fillna(0.0) / 3600)
    best: float | None = None
    for spent, trial in zip(hours, trials.to_dict("records"), strict=True):
        score = trial["score"]
        if trial["state"] == COMPLETE and not pd.isna(score) and (best is None or objective.better(score, best)):
            best = float(score)
            rows.append({"hours": spent, "score": best, "number": int(trial["number"])})
    if rows:
        rows.append({**rows[-1], "hours": float(trials["seconds"].fillna(0.0).sum() / 3600)})
    return pd.DataFrame(rows, columns=["hours", "score", "number"])


def plot_beside(studies: Sequence[Study]) -> go.Figure:
    """Plot the best score so far of each study against hours of trials, as steps."""
    figure = go.Figure()
    for study in studies:
        steps = best_so_far(study)
        figure.add_scatter(
            x=steps["hours"],
            y=steps["score"],
            name=study.name,
            mode="lines+markers",
            line={"shape": "hv"},
            text=[f"{study.name}, trial {number}" for number in steps["number"]],
            hovertemplate="%{text}<br>%{x:.3g} h: %{y:.5g}<extra></extra>",
        )
    if not any(len(trace.x) for trace in figure.data):
        return note("No trial is complete yet.")
    objective = studies[0].config.objective
    side = "higher" if objective.sign > 0 else "lower"
    figure.update_xaxes(title="hours of trials, added up", rangemode="tozero")
    figure.update_yaxes(title=f"best {objective.metric} so far ({side} is better)")
    return styled(figure)


def settings_beside(studies: Sequence[Study]) -> pd.DataFrame:
    """Tabulate the best complete trial of each study: its score, and each setting that any of them sweeps."""
    names = list(dict.fromkeys(name for study in studies for name in study.parameters))
    rows = []
    for study in studies:
        complete = study.trials[(study.trials["state"] == COMPLETE) & study.trials["score"].notna()]
        best = study.config.objective.best(complete.to_dict("records"), lambda trial: float(trial["score"]))
        values = {name: best.get(name, "not swept") for name in names} if best else dict.fromkeys(names, "")
        rows.append(
            {
                "study": study.name,
                "preset": study.config.preset,
                "iterations": study.config.base.schedule.total,
                "trials": len(study.trials),
                "complete": len(complete),
                "hours": round(float(study.trials["seconds"].fillna(0.0).sum()) / 3600, 3),
                "best": "" if best is None else f"{best['score']:.5g} (trial {best['number']})",
                **values,
            }
        )
    return pd.DataFrame(rows)


def verdicts_beside(studies: Sequence[Study]) -> pd.DataFrame:
    """Tabulate what the final stage of each study proves, with what its scores may be compared by."""
    return pd.DataFrame(
        {
            "study": study.name,
            "verdict": study.tags.get("verdict", "none yet"),
            "clips": study.record.store_hash[:12],
            "scorer": study.tags.get("scorer.hash", "")[:12],
            "data": study.record.data_source,
        }
        for study in studies
    )


def caution(studies: Sequence[Study]) -> str:
    """Say whether scores of the studies may be compared at all: same clips, scorer, objective and budget."""
    unlike = [
        word
        for word, values in (
            ("clips", {study.record.store_hash for study in studies}),
            ("scorers", {study.tags.get("scorer.hash", "") for study in studies}),
            ("objectives", {study.config.objective.metric for study in studies}),
            ("budgets", {study.config.base.schedule.total for study in studies}),
        )
        if len(values) > 1
    ]
    if not unlike:
        return "Clips, scorer, objective and budget are the same: the scores may be compared."
    return f"**Take care:** the studies differ in {' and '.join(unlike)}. Compare settings and verdicts, not scores."
