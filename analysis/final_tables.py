"""The final stage as tables to read: report, every seed, confirm ranking, noise, and how to run it again."""

from __future__ import annotations

import shlex

import pandas as pd

from analysis.final import Final, origin
from analysis.reading import Study
from analysis.rows import settings_text
from analysis.store import ROOT
from sweeps.final.reruns import Reported
from sweeps.report.tables import cell
from tsvan.scoring.metrics import METRICS

NAMES = {
    "inception_score": "IS",
    "inter_entropy": "H(y)",
    "intra_entropy": "H(y|v)",
    "label_agreement": "accuracy (label_agreement)",
}
"""The paper's names; a metric that is not here keeps its own."""
BEST, PUBLISHED, DIFFERENCE = "best", "published row", "best - published"


def report_metrics(final: Final) -> list[str]:
    """Metrics of the final stage, in the order of the metrics' table."""
    known = {*final.result.winner.scores, *final.result.published.scores}
    return [name for name in METRICS if name in known]


def report_table(final: Final) -> pd.DataFrame:
    """Mean and 95% t interval over the training seeds (with few, all values), the differences paired by seed, and what
    real clips score. A Frechet distance has no interval."""
    result, rows = final.result, []
    for metric in report_metrics(final):
        sides = (result.winner.scores.get(metric), result.published.scores.get(metric), result.differences.get(metric))
        cells = [cell(metric, side, sign) for side, sign in zip(sides, ("", "", "+"), strict=True)]
        better = "higher" if METRICS[metric].direction == "maximize" else "lower"
        rows.append([NAMES.get(metric, metric), better, *cells, _real(final, metric)])
    columns = ["metric", "better", BEST, PUBLISHED, DIFFERENCE, "real clips"]
    table = pd.DataFrame(rows, columns=columns).set_index("metric")
    return table.drop(columns=[PUBLISHED, DIFFERENCE]) if result.same else table


def seeds_table(final: Final) -> pd.DataFrame:
    """Every value of every seed; a run without an end has its reason in the last column."""
    rows = []
    for title, row in _sides(final).items():
        for seed in row.seeds:
            values = {NAMES.get(m, m): row.by_seed(m).get(seed) for m in report_metrics(final)}
            cells = {name: "-" if value is None else f"{value:.6g}" for name, value in values.items()}
            rows.append({"config": title, "seed": seed, **cells, "note": row.failed.get(seed, "")})
    return pd.DataFrame(rows).set_index(["config", "seed"])


def bounds_table(final: Final) -> pd.DataFrame:
    """Scores of real clips and of broken copies of them: between these a generator's score has its meaning."""
    found = final.scorer.sensitivity["rows"]
    names = [name for name in METRICS if name in found["real"]]
    table = pd.DataFrame({NAMES.get(name, name): {kind: row[name] for kind, row in found.items()} for name in names})
    return table.rename_axis("clips").map(lambda value: f"{value:.4g}")


def noise_table(study: Study) -> pd.DataFrame:
    """Every config that was trained again: its scores by seed, mean and standard deviation, in each stage's own group
    of clips. Stages do not compare: `calibrate` is scored on `validation`, the others on groups of their own."""
    rows = []
    for (stage, config), group in study.reruns.groupby(["stage", "config"]):
        scores = group["score"].astype(float)
        deviation = f"{scores.std():.3g}" if len(scores) > 1 else "-"
        rows.append([stage, _title(study, str(config)), len(scores), _list(scores), f"{scores.mean():.6g}", deviation])
    columns = ["stage", "config", "seeds", study.config.objective.metric, "mean", "standard deviation"]
    return pd.DataFrame(rows, columns=columns).set_index("stage")


def confirm_table(study: Study, final: Final) -> pd.DataFrame:
    """The configs that were ranked on the `confirm` group, best first; empty without that stage."""
    rows: list[list[object]] = []
    reruns = study.reruns[study.reruns["stage"] == "confirm"]
    for key, mean in final.result.confirm.items():
        group = reruns[reruns["key"] == key]
        title = _title(study, str(group["config"].iloc[0])) if len(group) else key
        rows.append([len(rows) + 1, title, f"{mean:.6g}", len(group), _list(group["score"])])
    columns = ["rank", "config", f"mean {study.config.objective.metric}", "seeds", "by seed"]
    return pd.DataFrame(rows, columns=columns).set_index("rank")


def runs_table(study: Study) -> pd.DataFrame:
    """The run behind each number, by the id that `reproduce_command` takes."""
    rows = [
        {
            "stage": run.stage,
            "config": _title(study, str(run.config)),
            "seed": run.seed,
            study.config.objective.metric: f"{run.score:.6g}",
            "run_id": run.run_id,
        }
        for run in study.reruns.itertuples()
    ]
    columns = ["stage", "config", "seed", study.config.objective.metric, "run_id"]
    return pd.DataFrame(rows, columns=columns).set_index("stage")


def reproduce_command(study: Study, run_id: str = "RUN_ID") -> str:
    """What trains a run again from its own artifacts and compares the scores; to be run in the repository."""
    default = f"sqlite:///{ROOT / 'runs' / 'mlflow.db'}"
    store = [] if study.uri == default else ["--tracking-uri", study.uri]
    return shlex.join(["python", "tune_runner.py", "reproduce", run_id, *store])


def _sides(final: Final) -> dict[str, Reported]:
    winner, rival = final.result.winner, final.result.published
    if final.result.same:
        return {f"best = published row ({origin(rival)})": rival}
    return {f"{BEST} ({origin(winner)})": winner, f"{PUBLISHED} ({origin(rival)})": rival}


def _real(final: Final, metric: str) -> str:
    """At the N of the report group where that was measured, as the Inception Score and the distances grow with N."""
    at_n = final.scorer.growth.get("values", {}).get(metric, {}).get(str(final.result.num_clips))
    if at_n is not None:
        return f"{at_n[0]:.4g}"
    found = final.scorer.sensitivity
    if metric not in found["rows"]["real"]:
        return "-"
    clips = found["num_clips"] if metric in NAMES else found["num_distance_clips"]  # all others are distances
    return f"{found['rows']['real'][metric]:.4g} (N = {clips})"


def _title(study: Study, config: str) -> str:
    """`trial 3` where a trial of the sweep has the same settings, else the settings."""
    for row in study.trials.to_dict("records"):
        if settings_text({name: row[name] for name in study.parameters}) == config:
            return f"trial {row['number']}" + ("" if row["origin"] == "sampler" else f" ({row['origin']})")
    return config


def _list(values: pd.Series) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
