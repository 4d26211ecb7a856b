"""A study of 24 trials in MLflow, written by the MLflow client alone: no training."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

import sweeps.tracking  # noqa: F401 - MLflow's environment
from analysis.reading import Study, read_study
from sweeps.config import SweepConfig, load
from sweeps.space import derived, published_params, train_config
from sweeps.tracking import STATUS

TRIALS = 24
STATES = {5: "pruned", 9: "pruned", 13: "diverged", 17: "failed"}


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished study `made`, an older one without trials, `empty`, and a newer one that still runs, `young`."""
    folder = tmp_path_factory.mktemp("store")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    write_study(store, folder, "empty", trials=0, status="RUNNING")
    write_study(store, folder, "made", TRIALS, seeds=3)
    write_study(store, folder, "young", trials=2, status="RUNNING")
    return store


@pytest.fixture(scope="session")
def study(uri: str) -> Study:
    return read_study(uri)


def score_of(params: dict[str, Any]) -> float:
    """Known truth: content_dim matters most, lambda2 a little, the others not at all."""
    return 5.0 + {256: 0.0, 512: 2.0, 1024: 4.0}[params["content_dim"]] + 0.1 * float(params["lambda2"])


def write_study(
    uri: str, folder: Path, name: str, trials: int, seeds: int = 0, status: str = "FINISHED"
) -> None:
    """As `sweeps.shipper` does it."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name("tsvan-weizmann")
    experiment = found.experiment_id if found else client.create_experiment(
        "tsvan-weizmann", artifact_location=(folder / "artifacts").as_uri()
    )
    config = load("weizmann", "paper", ["budget.iterations=1000"])[0]
    tags = {"study": name, "dataset": "weizmann", "preset": "paper", "data.source": "real"}
    parent = client.create_run(experiment, tags={**tags, "stage": "study"}, run_name=name).info.run_id
    record = {"study_id": name, "config": config.to_dict(), "store": str(folder / "clips"), "store_hash": "0" * 8}
    client.log_text(parent, yaml.safe_dump({**record, "data_source": "real"}, sort_keys=False), "study.yaml")
    draws = random.Random(0)
    for number in range(trials):
        params = published_params(config)[0] if number == 0 else _drawn(config, draws)
        tags = {"stage": "sweep", "trial": str(number)} | ({"origin": "table 3"} if number == 0 else {})
        _write_trial(client, experiment, parent, config, params, tags, STATES.get(number, "complete"))
    for seed in range(seeds):
        params = published_params(config)[0]
        run = client.create_run(experiment, tags={"mlflow.parentRunId": parent, "stage": "report", "state": "complete"})
        _describe(client, run.info.run_id, config, params)
        client.log_metric(run.info.run_id, "score", 100.0 + seed, step=1000)
    client.set_terminated(parent, status) if status == "FINISHED" else None


def _drawn(config: SweepConfig, draws: random.Random) -> dict[str, Any]:
    return {
        name: draws.choice(prior.values) if prior.values is not None else draws.uniform(prior.low or 0, prior.high or 0)
        for name, prior in config.space.items()
    }


def _describe(client: Any, run_id: str, config: SweepConfig, params: dict[str, Any]) -> None:
    from mlflow.entities import Param

    train = train_config(config, params, seed=7)
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in derived(train).items()])
    client.log_text(run_id, yaml.safe_dump(train.to_dict(), sort_keys=False), "config.yaml")


def _write_trial(
    client: Any,
    experiment: str,
    parent: str,
    config: SweepConfig,
    params: dict[str, Any],
    tags: dict[str, str],
    state: str,
) -> None:
    from mlflow.entities import Metric

    number = int(tags["trial"])
    extra = {"mlflow.parentRunId": parent, "state": state, **({"reason": "loss is nan"} if state == "diverged" else {})}
    run_id = client.create_run(experiment, tags={**tags, **extra}, run_name=f"{number:03d}").info.run_id
    _describe(client, run_id, config, params)
    last = {"complete": 1000, "pruned": 300}.get(state, 0)
    # An early score looks better than any final one: whoever ranks pruned trials finds the wrong best.
    scores = {step: score_of(params) * (1 - math.exp(-step / 200)) for step in range(100, last + 1, 100)}
    if state == "pruned":
        scores[last] = 50.0
    client.log_batch(run_id, metrics=[Metric("score", value, step, step) for step, value in scores.items()])
    client.log_batch(
        run_id, metrics=[Metric("score/inception_score", value, step, step) for step, value in scores.items()]
    )
    if number < 6:
        for step in (900, 1000):
            client.log_text(run_id, "sheet", f"samples/iter-{step:07d}.png")
            client.log_text(run_id, "video", f"samples/iter-{step:07d}.mp4")
    outcome = {"state": state, "iteration": last, "seconds": 60.0 * (number + 1)}
    client.log_text(run_id, json.dumps(outcome), "outcome.json")
    client.set_terminated(run_id, STATUS[state])
