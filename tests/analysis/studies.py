"""A study in MLflow as the uploader writes it, without a trainer: what the notebooks read."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import yaml

import sweeps.tracking.client  # noqa: F401 - MLflow's environment
from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.config.space import derived, published_params, train_config
from sweeps.final.reruns import FinalResult, Reported
from sweeps.final.statistics import interval
from sweeps.state.scorer_result import ScorerResult
from sweeps.tracking.client import KEY, STATUS

TRIALS = 24


STATES = {5: "pruned", 9: "pruned", 13: "diverged", 17: "failed"}


GPU_GIB = {16: 2, 32: 3, 64: 5}
"""By ngf."""


BEST = 19
"""The best complete trial."""


RERUNS = {
    "calibrate": {"published": [200.0, 200.1, 200.2]},
    "confirm": {"best": [30.0, 32.0], "published": [20.0, 21.0]},
    "report": {"best": [12.0, 14.0, 13.0, 17.0], "published": [10.0, 11.0, 12.0]},
}
"""Scores by stage and config, one a seed. The last seed of the report had no end with the published settings."""


REPORTED = {
    "best": {"inception_score": [12.0, 14.0, 13.0, 17.0], "frechet_distance": [5.0, 6.0, 7.0, 8.0]},
    "published": {"inception_score": [10.0, 11.0, 12.0], "frechet_distance": [6.0, 6.0, 6.0]},
}


def score_of(params: dict[str, Any]) -> float:
    """Known truth: content_dim matters most, lambda2 a little, the others not at all."""
    return 5.0 + {256: 0.0, 512: 2.0, 1024: 4.0}[params["content_dim"]] + 0.1 * float(params["lambda2"])


def write_study(
    uri: str, folder: Path, name: str, trials: int, final: bool = False, status: str = "FINISHED"
) -> None:
    """As `sweeps.tracking.uploader` does it."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    found = client.get_experiment_by_name("tsvan-weizmann")
    experiment = found.experiment_id if found else client.create_experiment(
        "tsvan-weizmann", artifact_location=(folder / "artifacts").as_uri()
    )
    config = load("weizmann", "paper", ["budget.iterations=1000", "objective=inception_score"])[0]
    tags = {"study": name, "dataset": "weizmann", "preset": "paper", "data.source": "real"}
    parent = client.create_run(experiment, tags={**tags, "stage": "study"}, run_name=name).info.run_id
    record = {"study_id": name, "config": config.to_dict(), "store": str(folder / "clips"), "store_hash": "0" * 8}
    client.log_text(parent, yaml.safe_dump({**record, "data_source": "real"}, sort_keys=False), "study.yaml")
    draws, drawn = random.Random(0), list[dict[str, Any]]()
    for number in range(trials):
        params = published_params(config)[0] if number == 0 else _drawn(config, draws)
        drawn.append(params)
        tags = {"stage": "sweep", "trial": str(number)} | ({"origin": "table 3"} if number == 0 else {})
        _write_trial(client, experiment, parent, config, params, tags, STATES.get(number, "complete"))
    if final:
        params = {"published": published_params(config)[0], "best": drawn[BEST]}
        for stage, runs in RERUNS.items():
            for role, scores in runs.items():
                for place, score in enumerate(scores):
                    _write_rerun(client, experiment, parent, config, params[role], stage, place, score)
        client.log_text(parent, json.dumps(summary(config, params)), "summary.json")
    client.set_terminated(parent, status) if status == "FINISHED" else None


def summary(config: SweepConfig, params: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """As much of a `summary.json` as the notebooks read, with values that a later version might add."""
    rows = {role: _reported(config, role, params[role]) for role in ("best", "published")}
    differences = {
        metric: interval([one - other for one, other in zip(values, REPORTED["published"][metric], strict=False)])
        for metric, values in REPORTED["best"].items()
    }
    verdict = "adopt: +2 [-0.48, 4.48]"  # as if; the interval is not what this is about
    confirm = {rows["best"].key: 31.0, rows["published"].key: 20.5}
    result = FinalResult(rows["best"], rows["published"], False, differences, 16, verdict, confirm).to_dict()
    real = {"inception_score": 19.0, "frechet_distance": 1.0}
    sensitivity = {"rows": {"real": real, "static": real}, "num_clips": 38, "num_distance_clips": 19}
    growth = {"sizes": [16], "num_clips": 38, "values": {"inception_score": {"16": [9.0, 1.4]}}}
    scorer = ScorerResult("", {}, "0" * 8, {"action": 0.9}, {"action": 0.9}, sensitivity, "", [], True, {}, growth)
    return {"final": {**result, "unheard_of": 1}, "scorer": vars(scorer), "data_source": "real"}


def _reported(config: SweepConfig, role: str, params: dict[str, Any]) -> Reported:
    key = train_config(config, params, 0).settings_hash[:8]
    scores = {metric: interval(values) for metric, values in REPORTED[role].items()}
    failed = {14: "diverged: loss is nan"} if role == "published" else {}
    seeds = [11, 12, 13, 14]
    folders = [f"/nowhere/final/report-{key}-{place}" for place in range(len(seeds))]
    origin = f"trial {BEST}" if role == "best" else "table 3"
    return Reported(role, origin, key, {}, None, None, seeds, scores, failed=failed, folders=folders)


def _write_rerun(
    client: Any,
    experiment: str,
    parent: str,
    config: SweepConfig,
    params: dict[str, Any],
    stage: str,
    place: int,
    score: float,
) -> None:
    key = train_config(config, params, 0).settings_hash[:8]
    tags = {"stage": stage, "trial": str(place), "train.seed": str(11 + place), "state": "complete"}
    tags |= {"mlflow.parentRunId": parent, KEY: f"{parent}/final/{stage}-{key}-{place}"}
    run_id = client.create_run(experiment, tags=tags).info.run_id
    _describe(client, run_id, config, params)
    client.log_param(run_id, "score.clips", 9000 if stage == "report" else 1024)
    client.log_metric(run_id, "score", score, step=1000)
    client.log_metric(run_id, "score/inception_score", score, step=1000)


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
    gpu = GPU_GIB[params["ngf"]] * 2**30 if state == "complete" else 0  # a stopped trial was not asked
    details = {"device": "cuda", "gpu_bytes": gpu}
    outcome = {"state": state, "iteration": last, "seconds": 60.0 * (number + 1), "details": details}
    client.log_text(run_id, json.dumps(outcome), "outcome.json")
    client.set_terminated(run_id, STATUS[state])
