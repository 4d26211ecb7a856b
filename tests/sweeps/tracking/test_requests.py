"""What the driver wants of MLflow goes through the uploader's one thread, and nothing of it is lost or forgotten."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from sweeps.config.schema import SweepConfig
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import StudyPaths
from sweeps.state.signals import StopSignals, StudyInterrupted
from sweeps.tracking.client import Tracker
from sweeps.tracking.model_registry import ModelCard
from sweeps.tracking.run_upload import UploadState
from tests.sweeps.studies import job_maker
from tests.sweeps.tracking.uploads import make_uploader, runs, steps, write_points
from tsvan.validation import UserError


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def report(paths: StudyPaths) -> Path:
    paths.report.write_text("what was found")
    return paths.report


class Refusing(Tracker):
    """A store that refuses reports, as a server does without the right to edit."""

    def artifact(self, run_id: str, file: Path, folder: str | None = None) -> None:
        if file.suffix == ".md":
            raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)
        super().artifact(run_id, file, folder)


def parents(uri: str) -> list[Any]:
    return [run for run in runs(uri) if run.data.tags["stage"] == "study"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_comes_while_the_driver_waits_for_mlflow_ends_the_study(
    paths: StudyPaths, silent_server: str, report: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    paths.config.write_text("study_id: abc\n")
    uploader = make_uploader(paths, silent_server)
    uploader.start()
    with StopSignals(paths, print).installed():
        threading.Timer(0.5, os.kill, (os.getpid(), number)).start()
        begun = time.monotonic()
        with pytest.raises(StudyInterrupted):
            uploader.finish({"score_mean": 1.0}, {}, [report])
        assert time.monotonic() - begun < 30  # it would have waited for 60 s
    assert "the results" in uploader.close("interrupted", timeout_s=0.1)


def test_results_that_mlflow_refuses_are_not_forgotten_by_the_next_round(
    paths: StudyPaths, uri: str, job: Job, report: Path
) -> None:
    uploader = make_uploader(paths, uri, kind=Refusing)
    uploader.start()
    assert not uploader.finish({"score_mean": 1.0}, {}, [report], timeout_s=20)
    uploader.started(job)
    uploader.ended(job, Outcome("failed", 3, {}, "why"))  # rounds with work that succeeds
    assert uploader.settle(10) == ["the results"]
    assert uploader.close("complete", timeout_s=10) == ["the results"]
    assert "Permission denied" in uploader.problem
    assert "--experiment NAME" in uploader.problem
    assert "delivers them when MLflow takes them" in uploader.missing(["the results"])[1]
    again = make_uploader(paths, uri)  # the same command, with the right to edit
    again.start()
    assert again.finish({"score_mean": 1.0}, {}, [report])
    assert again.close("complete") == []
    assert {item.path for item in MlflowClient(uri).list_artifacts(again.parent_run)} >= {"report.md"}


def test_a_model_that_mlflow_refuses_is_not_forgotten(
    paths: StudyPaths, uri: str, job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise MlflowException("no right to models", error_code=PERMISSION_DENIED)

    uploader = make_uploader(paths, uri)
    uploader.start()
    uploader.ended(job, Outcome("complete", 3, {"inception_score": 1.0}))
    assert uploader.settle(20) == []
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "search_model_versions", refuse)
        (tmp_path / "networks.pt").write_bytes(b"weights")
        assert uploader.register(job.paths, tmp_path / "networks.pt", ModelCard("tsvan-test")) is None
        assert uploader.finish({}, {"verdict": "adopt"}, [])
        assert uploader.settle(5) == ["the model"]
    assert uploader.settle(30) == []  # taken as soon as MLflow takes it
    assert UploadState.read(job.paths.tracking).model == "models:/tsvan-test/1"


def test_thread_and_driver_make_one_run_of_the_study(paths: StudyPaths, uri: str, job: Job) -> None:
    class Slow(Tracker):
        def run(self, *arguments: Any, **options: Any) -> str:
            time.sleep(0.3)  # a server far away: long enough to find none twice
            return super().run(*arguments, **options)

    uploader = make_uploader(paths, uri, kind=Slow)
    uploader.start()
    uploader.started(job)
    assert uploader.finish({"score_mean": 1.0}, {}, [])
    assert uploader.close("complete") == []
    assert [run.info.run_id for run in parents(uri)] == [uploader.parent_run]


def test_a_study_of_before_goes_on_without_doubling(paths: StudyPaths, uri: str, job: Job, config: SweepConfig) -> None:
    other = job_maker(config, paths)(3, {"lambda2": 4.0})
    other.write()
    first = make_uploader(paths, uri)
    first.start()
    write_points(job, range(1, 16))
    write_points(other, range(1, 11))
    first.started(job)
    first.ended(other, Outcome("pruned", 10, {}))
    assert first.close("interrupted") == []
    MlflowClient(uri).set_terminated(UploadState.read(other.paths.tracking).run_id, "KILLED")  # as it was then
    for folder, ended in ((job.paths, "interrupted"), (other.paths, "pruned")):
        known = {"run_id": UploadState.read(folder.tracking).run_id, "parent": first.parent_run}
        folder.tracking.write_text(json.dumps({**known, "described": True, "ended": ended, "model": ""}))
    old = {"run_id": first.parent_run, "parent": "", "described": False, "ended": "", "model": ""}
    paths.tracking.write_text(json.dumps(old))
    second = make_uploader(paths, uri)
    second.start()
    second.catch_up(other, Outcome("pruned", 10, {}))
    write_points(job, range(16, 31))
    second.started(job)
    second.ended(job, Outcome("complete", 30, {"inception_score": 3.0}))
    assert second.close("complete") == []
    assert len(runs(uri)) == 3
    assert steps(uri, job, "train/content/encoder") == list(range(1, 31))
    assert steps(uri, other, "train/content/encoder") == list(range(1, 11))


def test_the_studys_run_has_the_curve_of_the_best_score_so_far(
    paths: StudyPaths, uri: str, config: SweepConfig
) -> None:
    make = job_maker(config, paths)
    scores = [2.0, 5.0, 3.0, 7.0]
    for process in (range(3), range(4)):  # the second finds three trials that ended before it
        uploader = make_uploader(paths, uri)
        uploader.start()
        for number in process:
            trial = make(number, {"lambda2": 4.0})
            trial.write()
            uploader.catch_up(trial, Outcome("complete", 10, {"inception_score": scores[number]}))
        pruned = make(9, {"lambda2": 4.0})
        pruned.write()
        uploader.catch_up(pruned, Outcome("pruned", 3, {"inception_score": 99.0}))
        assert uploader.close("complete") == []
    curve = MlflowClient(uri).get_metric_history(uploader.parent_run, "score")
    assert [(point.step, point.value) for point in curve] == [(1, 2.0), (2, 5.0), (3, 5.0), (4, 7.0)]


def test_trouble_that_does_not_pass_is_told_while_the_study_runs_and_so_is_its_end(
    paths: StudyPaths, uri: str, job: Job, config: SweepConfig
) -> None:
    said: list[str] = []
    right = threading.Event()

    class Refused(Tracker):
        def points(self, run_id: str, points: Any) -> None:
            if not right.is_set():
                raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)
            super().points(run_id, points)

    uploader = make_uploader(paths, uri, kind=Refused, say=said.append)
    uploader.start()
    write_points(job, range(1, 4))
    uploader.started(job)
    uploader.ended(job, Outcome("failed", 3, {}, "why"))
    assert uploader.settle(20) == ["trials/007"]
    other = job_maker(config, paths)(8, {"lambda2": 4.0})
    other.write()
    for _ in range(2):
        uploader.started(other)
    assert len(said) == 1
    assert said[0].startswith("MLflow refuses trials/007: Permission denied; give an experiment of your own")
    right.set()
    uploader.ended(job, Outcome("failed", 3, {}, "why"))
    assert uploader.settle(20) == []
    uploader.started(job)
    assert said[1:] == ["MLflow has everything again"]
    uploader.close("complete")


def test_a_store_that_refuses_is_said_before_the_first_trial(paths: StudyPaths, uri: str) -> None:
    class ReadOnly(Tracker):
        def run(self, *arguments: Any, **options: Any) -> str:
            raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    uploader = make_uploader(paths, uri, kind=ReadOnly)
    uploader.start()
    with pytest.raises(UserError, match="MLflow: Permission denied; give an experiment of your own"):
        uploader.open(20)
    uploader.close("interrupted", timeout_s=1)


def test_a_run_of_the_study_that_somebody_deleted_is_made_again(
    paths: StudyPaths, uri: str, job: Job, report: Path
) -> None:
    uploader = make_uploader(paths, uri)
    uploader.start()
    write_points(job, range(1, 11))
    uploader.ended(job, Outcome("failed", 3, {}, "why"))
    assert uploader.settle(20) == []
    MlflowClient(uri).delete_run(uploader.parent_run)
    uploader.finish({"score_mean": 1.0}, {}, [report], timeout_s=30)
    assert uploader.close("complete") == []
    assert [run.info.run_id for run in parents(uri)] == [uploader.parent_run]
    assert steps(uri, job, "train/content/encoder") == list(range(1, 11))
