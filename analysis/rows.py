"""Rows of tables, each made of one MLflow run: a trial of the sweep, or a rerun with a fresh seed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from analysis.store import download
from analysis.weights import count_weights
from sweeps.config.schema import SweepConfig
from sweeps.config.space import train_config
from sweeps.state.job import SCORE
from sweeps.tracking.client import KEY
from tsvan.validation import parse_value

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PREFIX = f"{SCORE}/"
"""What the names of score metrics begin with in MLflow, and so in the tables."""
RERUNS = ("calibrate", "confirm", "report")
"""Stages that train configs with fresh seeds."""
_SECONDS = f"{PREFIX}score_seconds"
_GIB = 2**30


def trial_row(client: MlflowClient, run: Run, config: SweepConfig) -> dict[str, Any]:
    """Make the row of a trial of the sweep."""
    tags = run.data.tags
    outcome = _outcome(client, run)
    params = _params(run, list(config.space))
    return {
        "number": int(tags["trial"]),
        "state": tags.get("state", "unknown"),
        **params,
        "score": run.data.metrics.get("score", math.nan),
        "iteration": outcome["iteration"],
        "seconds": outcome["seconds"],
        "gpu_gib": _gpu_gib(outcome),
        "weights": _weights(config, params),
        **_metrics(run),
        "origin": tags.get("origin", "sampler"),
        "reason": tags.get("reason", ""),
        "name": run.info.run_name,
        "run_id": run.info.run_id,
    }


def rerun_row(run: Run, config: SweepConfig) -> dict[str, Any]:
    """Make the row of a completed rerun.

    It is called `final/STAGE-CONFIG-PLACE` in its study, and its key in MLflow ends so.
    """
    tags = run.data.tags
    name = tags.get(KEY, "").rpartition("/")[2]
    return {
        "stage": tags["stage"],
        "config": settings_text(_params(run, list(config.space))),
        "key": name.split("-")[1] if name.count("-") == 2 else "",
        "place": int(tags.get("trial", -1)),
        "seed": int(tags.get("train.seed", -1)),
        "clips": int(run.data.params.get("score.clips", 0)),
        "score": run.data.metrics.get("score", math.nan),
        **_metrics(run),
        "run_id": run.info.run_id,
    }


def settings_text(params: Mapping[str, Any]) -> str:
    """Write settings as `lambda2=7.0, ngf=16`: equal for equal settings."""
    return ", ".join(f"{key}={value}" for key, value in params.items())


def _metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.data.metrics.items() if name.startswith(PREFIX) and name != _SECONDS}


def _params(run: Run, names: list[str]) -> dict[str, Any]:
    """Read the named parameters of a run; None: it has none of that name.

    MLflow keeps text; read as YAML, a number is a number again.
    """
    return {name: parse_value(run.data.params[name]) if name in run.data.params else None for name in names}


def _outcome(client: MlflowClient, run: Run) -> dict[str, Any]:
    """Read iterations and seconds from `outcome.json`; what it does not say, from its last score and clock."""
    run_id = run.info.run_id
    ended = run.info.end_time
    clock = (ended - run.info.start_time) / 1000 if ended else math.nan
    if any(file.path == "outcome.json" for file in client.list_artifacts(run_id)):
        with TemporaryDirectory() as folder:
            values: dict[str, Any] = json.loads(download(client, run_id, "outcome.json", Path(folder)).read_text())
            return {**values, "seconds": values["seconds"] or clock}  # a stopped trial was not asked
    steps = [point.step for point in client.get_metric_history(run_id, "score")]
    return {"iteration": max(steps, default=0), "seconds": clock}


def _gpu_gib(outcome: dict[str, Any]) -> float:
    """Return the peak GPU memory of a trial, in GiB; NaN: it was trained on a CPU, or was stopped and not asked."""
    used = outcome.get("details", {}).get("gpu_bytes") or 0
    return used / _GIB if used > 0 else math.nan


def _weights(config: SweepConfig, params: dict[str, Any]) -> float:
    if any(value is None for value in params.values()):
        return math.nan  # the run has no parameters yet
    return float(count_weights(train_config(config, params, 0).model, len(config.rules.classes)))
