"""What a whole smoke study leaves behind: files, Optuna and MLflow agree. Needs the shared fixture `smoke_study`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import av
import mlflow
import numpy as np
import optuna
import pandas as pd
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from sweeps.state.paths import StudyPaths

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "diverged": TrialState.FAIL}
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


@pytest.fixture(scope="module")
def summary(smoke_study: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((smoke_study / "summary.json").read_text())
    return values


@pytest.fixture(scope="module")
def client(smoke_study: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{StudyPaths(smoke_study).tracking_database}")


def test_the_summary_has_its_keys(summary: dict[str, Any]) -> None:
    assert {"dataset", "data_source", "trials", "best", "final", "versions"} <= set(summary)
    keys = {"number", "state", "params", "score", "iteration", "mlflow_run_id"}
    assert all(keys <= set(trial) for trial in summary["trials"])
    assert [trial["number"] for trial in summary["trials"]] == list(range(summary["config"]["trials"]))
    assert summary["final"]["winner"]["scores"]


def test_optuna_opens_the_study_and_agrees(smoke_study: Path, summary: dict[str, Any]) -> None:
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{smoke_study / 'study.db'}")
    for trial, row in zip(study.trials, summary["trials"], strict=True):
        assert trial.state == STATES.get(row["state"], TrialState.FAIL)
        assert trial.params == row["params"]
        assert trial.user_attrs["mlflow_run_id"] == row["mlflow_run_id"]
        if trial.state == TrialState.COMPLETE:
            assert trial.values == [row["score"]]
    assert study.best_trial.number == summary["best"]["number"]


def test_mlflow_agrees_on_every_trial(client: MlflowClient, summary: dict[str, Any]) -> None:
    parent = client.get_run(summary["mlflow_run_id"])
    assert parent.info.status == "FINISHED"
    for row in summary["trials"]:
        run = client.get_run(row["mlflow_run_id"])
        assert (run.info.status, run.data.tags["state"]) == (STATUS[row["state"]], row["state"])
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.data.tags["data.source"] == summary["data_source"]
        history = client.get_metric_history(run.info.run_id, "score")
        steps = [point.step for point in history]
        assert steps == sorted(set(steps))
        assert history[-1].value == pytest.approx(row["score"])
        assert steps[-1] == row["iteration"]


def test_score_comes_first_among_the_metrics_of_every_run(client: MlflowClient, summary: dict[str, Any]) -> None:
    runs = [summary["mlflow_run_id"], *(row["mlflow_run_id"] for row in summary["trials"])]
    assert {min(client.get_run(run).data.metrics) for run in runs} == {"score"}


def test_every_run_carries_its_tags_params_and_data(client: MlflowClient, summary: dict[str, Any]) -> None:
    run = client.get_run(summary["trials"][0]["mlflow_run_id"])
    tags = {"stage", "dataset", "data.source", "data.hash", "scorer.hash", "code.version", "preset", "seed", "state"}
    assert tags <= set(run.data.tags)
    params = {"lambda1", "lambda2", "lambda3", "lambda5_lower", "lambda5_upper", "lambda5_ratio", "ngf", "content_dim"}
    assert params <= set(run.data.params)
    assert run.inputs.dataset_inputs


def test_sample_videos_play(client: MlflowClient, summary: dict[str, Any], tmp_path: Path) -> None:
    run_id = summary["best"]["mlflow_run_id"]
    videos = [item.path for item in client.list_artifacts(run_id, "samples") if item.path.endswith(".mp4")]
    assert videos
    with av.open(client.download_artifacts(run_id, videos[-1], str(tmp_path))) as video:
        assert video.streams.video[0].codec_context.name == "h264"
        assert sum(1 for _ in video.decode(video=0)) == 10


def test_the_registered_model_makes_clips_from_labels(client: MlflowClient, summary: dict[str, Any]) -> None:
    mlflow.set_tracking_uri(client.tracking_uri)
    mlflow.set_registry_uri(client.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/tsvan-{summary['dataset']}@champion")
    clips = model.predict(pd.DataFrame({"label": np.array([0, 0], np.int64)}))
    assert (clips.shape, clips.dtype) == ((2, 10, 64, 64, 3), np.uint8)


def test_the_registered_model_is_served(client: MlflowClient, summary: dict[str, Any], tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    name = f"models:/tsvan-{summary['dataset']}@champion"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", name, "--env-manager", "local"]
    # As many threads as here: with others the last bits differ, and a value at the edge rounds to the next level.
    environment = {**os.environ, "MLFLOW_TRACKING_URI": client.tracking_uri, "OMP_NUM_THREADS": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with open(tmp_path / "server.txt", "w") as log:
        server = subprocess.Popen(
            [*command, "-p", str(port)], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        answer = ask(port, server, {"dataframe_split": {"columns": ["label", "seed"], "data": [[3, 7]]}})
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    clips = np.array(answer["predictions"], np.uint8)
    assert clips.shape == (1, 10, 64, 64, 3)
    mlflow.set_registry_uri(client.tracking_uri)
    local = mlflow.pyfunc.load_model(name).predict(pd.DataFrame({"label": [3], "seed": [7]}))
    assert np.array_equal(clips, local)


def ask(port: int, server: subprocess.Popen[bytes], question: dict[str, Any]) -> dict[str, Any]:
    """POST to a model server when it is up."""
    data = json.dumps(question).encode()
    address, head = f"http://127.0.0.1:{port}/invocations", {"Content-Type": "application/json"}
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(address, data, head), timeout=60) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.5)


def test_system_metrics_are_there(client: MlflowClient, summary: dict[str, Any]) -> None:
    run_id = summary["best"]["mlflow_run_id"]
    points = client.get_metric_history(run_id, "system/cpu_utilization_percentage")
    assert [point.step for point in points] == list(range(1, 11))


def test_the_studys_run_describes_itself_with_pictures_that_are_there(
    client: MlflowClient, summary: dict[str, Any], smoke_study: Path
) -> None:
    run_id = summary["mlflow_run_id"]
    run = client.get_run(run_id)
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith(f"**{summary['final']['verdict']}**")
    pictures = re.findall(r"get-artifact\?path=([^&]+)&run_uuid=(\w+)", note)
    assert pictures
    files = {item.path for item in client.list_artifacts(run_id, "figures")}
    assert all(run == run_id and unquote(path) in files for path, run in pictures)
    assert {"report.html", "report.md", "summary.json"} <= {item.path for item in client.list_artifacts(run_id)}
    said = (smoke_study / "terminal.txt").read_text()
    assert f"http://127.0.0.1:5000/#/experiments/{run.info.experiment_id}/runs/{run_id}?workflowType=" in said
    assert {"score_mean", "score_low", "score_high", "score_seeds", "seed_noise.std"} <= set(run.data.metrics)


def test_the_noise_was_measured_and_names_what_cannot_be_told_apart(summary: dict[str, Any]) -> None:
    near = summary["near_best"]
    assert near["noise"]["source"] == "2 seeds of the published row, before the sweep"
    assert near["trials"][0] == summary["best"]["number"]
    assert near["cheapest"] in near["trials"]


def test_every_look_at_the_sealed_group_was_written_down(smoke_study: Path, summary: dict[str, Any]) -> None:
    configs = 1 if summary["final"]["same"] else 2
    assert (summary["final"]["looks"], summary["final"]["choices"]) == (2 * configs, 1)
    said = (smoke_study / "terminal.txt").read_text()
    assert f"looks at the sealed report group: {2 * configs}, for 1 choice" in said


def test_the_report_shows_table_pictures_and_sensitivity(smoke_study: Path) -> None:
    text = (smoke_study / "report.md").read_text()
    for words in ("table 3", "| stand-in |", "| shuffled |", "standard errors", "(report) |", "95% t interval"):
        assert words in text
    for words in ("H(y\\|v) ↓", "same latents", "random frames", "motion masks", "tune_runner.py reproduce"):
        assert words in text
    page = (smoke_study / "report.html").read_text()
    assert page.count("data:video/mp4;base64,") >= 2
    outside = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)  # Plotly's code names its own pages
    assert not re.search(r'(?:src|href)="(?!data:|#)', outside)
    assert 'http-equiv="refresh"' not in page  # the live page has gone
    pictures = [line.split("](")[1].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert pictures
    assert all((smoke_study / picture).stat().st_size > 1000 for picture in pictures)
