"""Uploaders on a real store, and what they are to deliver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mlflow import MlflowClient
from PIL import Image

from sweeps.config.schema import Objective
from sweeps.state.job import SCORE, TRAIN, Job
from sweeps.state.paths import StudyPaths
from sweeps.tracking.client import DataInput, Tracker
from sweeps.tracking.run_upload import Labels, UploadState
from sweeps.tracking.uploader import Uploader
from tsvan.journal import Journal

EXPERIMENT = "tsvan-test"


def make_uploader(
    paths: StudyPaths,
    uri: str,
    trials: int = 6,
    kind: type[Tracker] = Tracker,
    say: Callable[[str], None] = lambda line: None,
) -> Uploader:
    """An uploader of the study in `paths`, not started."""
    data = DataInput("weizmann-real", "123", "/x", "{}")
    labels = Labels("abc", "study", {"dataset": "weizmann"}, {"seed": 0}, {"trials": str(trials)}, data)
    tracker = kind(uri, EXPERIMENT, paths.artifacts)

    def describe(job: Job) -> tuple[str, dict[str, Any], dict[str, str]]:
        return f"{job.number:03d}", {"lambda2": 5.0}, {"stage": "sweep"}

    return Uploader(tracker, paths, labels, describe, Objective("inception_score"), "tsvan-test", say)


def write_points(job: Job, iterations: range) -> None:
    journal = Journal(job.paths.metrics)
    for i in iterations:
        journal.append(i, TRAIN, {"content/encoder": 1 / i})
        if i % 10 == 0:
            journal.append(i, SCORE, {"inception_score": float(i)})


def write_sample(job: Job, iteration: int) -> None:
    job.paths.samples.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(job.paths.samples / f"iter-{iteration:07d}.png")


def steps(uri: str, job: Job, name: str) -> list[int]:
    run_id = UploadState.read(job.paths.tracking).run_id
    return [point.step for point in MlflowClient(uri).get_metric_history(run_id, name)]


def runs(uri: str) -> list[Any]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))
