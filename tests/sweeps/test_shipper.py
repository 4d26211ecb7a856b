from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from PIL import Image

from sweeps.config import SweepConfig
from sweeps.delivery import Delivery, Item, new_lines
from sweeps.job import SCORE, TRAIN, Job, Outcome, Point
from sweeps.paths import StudyPaths
from sweeps.shipper import Labels, Shipper
from sweeps.tracking import DataInput, Tracker, default_uri, shown_uri
from tests.sweeps.conftest import job_maker
from tsvan.journal import Journal

EXPERIMENT = "tsvan-test"


@pytest.fixture(scope="module")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make a store: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("mlflow")
    Tracker(default_uri(folder / "mlflow.db"), "other", folder / "artifacts").open()
    return folder / "mlflow.db"


@pytest.fixture
def uri(fresh_store: Path, paths: StudyPaths) -> str:
    shutil.copy(fresh_store, paths.tracking_database)
    paths.config.write_text("study_id: abc\n")
    return default_uri(paths.tracking_database)


@pytest.fixture
def job(config: SweepConfig, paths: StudyPaths) -> Job:
    job = job_maker(config, paths)(7, {"lambda2": 5.0})
    job.write()
    return job


def make_shipper(paths: StudyPaths, uri: str, trials: int = 6) -> Shipper:
    data = DataInput("weizmann-real", "123", "/x", "{}")
    labels = Labels("abc", "study", {"dataset": "weizmann"}, {"seed": 0}, {"trials": str(trials)}, data)
    tracker = Tracker(uri, EXPERIMENT, paths.artifacts)
    return Shipper(tracker, paths, labels, lambda job: (f"{job.number:03d}", {"lambda2": 5.0}, {"stage": "sweep"}))


@pytest.fixture
def shipper(paths: StudyPaths, uri: str) -> Iterator[Shipper]:
    shipper = make_shipper(paths, uri)
    shipper.start()
    yield shipper
    shipper.close("complete", timeout_s=1)


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
    run_id = Delivery.read(job.paths.tracking).run_id
    return [point.step for point in MlflowClient(uri).get_metric_history(run_id, name)]


def runs(uri: str) -> list[Any]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def test_a_trial_is_one_run_with_all_that_it_wrote(shipper: Shipper, uri: str, job: Job) -> None:
    shipper.started(job)
    write_points(job, range(1, 21))
    write_sample(job, 20)
    shipper.scored(job, Point(20, {}))
    outcome = Outcome("complete", 20, {"inception_score": 20.0})
    outcome.write(job.paths)
    shipper.ended(job, outcome)
    assert shipper.close("complete", timeout_s=20) == []
    children = [run for run in runs(uri) if run.info.run_name == "007"]
    assert len(children) == 1
    run = children[0]
    assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "complete")
    assert run.data.tags["mlflow.parentRunId"] == shipper.parent_run
    assert run.data.params["lambda2"] == "5.0"
    assert run.inputs.dataset_inputs[0].dataset.name == "weizmann-real"
    assert steps(uri, job, "content/encoder") == list(range(1, 21))
    assert steps(uri, job, "score/inception_score") == steps(uri, job, "score") == [10, 20]
    names = {item.path for item in MlflowClient(uri).list_artifacts(run.info.run_id)}
    assert {"config.yaml", "job.json", "outcome.json", "curves.png", "samples", "images", "iter-0000020.png"} <= names


@pytest.mark.parametrize(
    ("state", "status"), [("pruned", "KILLED"), ("diverged", "FAILED"), ("failed", "FAILED"), ("complete", "FINISHED")]
)
def test_every_state_has_its_status_and_reason(shipper: Shipper, uri: str, job: Job, state: Any, status: str) -> None:
    shipper.started(job)
    outcome = Outcome(state, 3, {}, "" if state == "complete" else "why")
    outcome.write(job.paths)
    shipper.ended(job, outcome)
    assert shipper.settle(20) == []
    run = MlflowClient(uri).get_run(Delivery.read(job.paths.tracking).run_id)
    assert (run.info.status, run.data.tags.get("reason", "")) == (status, outcome.reason)


def test_after_a_death_the_same_run_goes_on_and_no_point_is_missing_or_twice(
    paths: StudyPaths, uri: str, job: Job
) -> None:
    first = make_shipper(paths, uri)
    first.start()
    first.started(job)
    write_points(job, range(1, 16))
    assert first.close("interrupted", timeout_s=20) == []
    run_id = Delivery.read(job.paths.tracking).run_id
    assert MlflowClient(uri).get_run(run_id).info.status == "KILLED"
    Journal(job.paths.metrics).truncate(10)  # the checkpoint
    second = make_shipper(paths, uri)
    second.start()
    second.started(job)
    write_points(job, range(11, 31))
    outcome = Outcome("complete", 30, {})
    outcome.write(job.paths)
    second.ended(job, outcome)
    assert second.close("complete", timeout_s=20) == []
    assert Delivery.read(job.paths.tracking).run_id == run_id
    assert MlflowClient(uri).get_run(run_id).info.status == "FINISHED"
    assert steps(uri, job, "content/encoder") == list(range(1, 31))
    assert steps(uri, job, "score") == [10, 20, 30]
    assert len(runs(uri)) == 2


def test_delivery_that_was_made_but_not_noted_is_made_again_without_doubling(
    paths: StudyPaths, uri: str, job: Job
) -> None:
    write_points(job, range(1, 21))
    outcome = Outcome("complete", 20, {})
    outcome.write(job.paths)
    for _ in range(2):
        shipper = make_shipper(paths, uri)
        shipper.start()
        shipper.catch_up(job, outcome)
        assert shipper.close("complete", timeout_s=20) == []
        job.paths.tracking.unlink()  # as if the driver had died before it wrote this down
        paths.tracking.unlink()
    found = [run for run in runs(uri) if run.info.run_name == "007"]
    assert len(found) == 1
    history = MlflowClient(uri).get_metric_history(found[0].info.run_id, "content/encoder")
    assert [point.step for point in history] == list(range(1, 21))


def test_points_that_arrived_just_before_a_death_are_not_doubled_when_the_trial_writes_them_again(
    paths: StudyPaths, uri: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_shipper(paths, uri)
    first._ready()
    first.started(job)
    write_points(job, range(1, 16))
    writes: list[dict[str, int]] = []
    real = Delivery.write

    def dies(self: Delivery, path: Path) -> None:
        if writes and not self.sending:
            raise KeyboardInterrupt  # after the points, before the note
        real(self, path)
        if self.sending:
            writes.append(self.sending)

    monkeypatch.setattr(Delivery, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        first._round()
    monkeypatch.undo()
    assert Delivery.read(job.paths.tracking).sending == {TRAIN: 15, SCORE: 10}
    Journal(job.paths.metrics).truncate(10)  # the checkpoint
    write_points(job, range(11, 21))  # with other times
    second = make_shipper(paths, uri)
    second.start()
    second.started(job)
    assert second.close("interrupted", timeout_s=20) == []
    assert steps(uri, job, "content/encoder") == list(range(1, 21))
    assert steps(uri, job, "score") == [10, 20]


def test_points_that_never_arrived_are_sent_again() -> None:
    delivery = Delivery(shipped={TRAIN: 5}, sending={TRAIN: 9, SCORE: 8})
    delivery.arrived({"content/encoder": 7, "score": 0})
    assert (delivery.shipped, delivery.sending) == ({TRAIN: 7, SCORE: 0}, {})


def test_a_server_that_is_away_holds_nothing_up_and_is_told(
    paths: StudyPaths, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    paths.config.write_text("study_id: abc\n")
    shipper = make_shipper(paths, "http://127.0.0.1:9")
    shipper.start()
    shipper.started(job)
    write_points(job, range(1, 11))
    shipper.ended(job, Outcome("complete", 10, {}))
    assert shipper.close("complete", timeout_s=0.5) == ["trials/007"]
    assert shipper.trouble
    assert len(list(Journal(job.paths.metrics).lines())) == 11


def test_a_torn_last_line_waits_until_it_is_whole(job: Job) -> None:
    item = Item(job, "", {}, {}, Delivery())
    write_points(job, range(1, 4))
    line = json.dumps({"iteration": 4, "kind": TRAIN, "time_ms": 1, "values": {}}) + "\n"
    with open(job.paths.metrics, "a") as file:
        file.write(line[:20])
        file.flush()
        assert [found["iteration"] for found in new_lines(item)] == [1, 2, 3]
        file.write(line[20:])
    assert [found["iteration"] for found in new_lines(item)] == [4]
    assert new_lines(item) == []
    Journal(job.paths.metrics).truncate(2)  # a trial that goes on replaces its file
    assert [found["iteration"] for found in new_lines(item)] == [1, 2]


def test_a_study_that_grows_keeps_its_run_and_shows_its_new_size(paths: StudyPaths, uri: str, job: Job) -> None:
    for trials in (6, 8):
        shipper = make_shipper(paths, uri, trials)
        shipper.start()
        shipper.catch_up(job, Outcome("pruned", trials, {}))
        assert shipper.close("complete", timeout_s=20) == []
        job.paths.tracking.unlink()
    parent = MlflowClient(uri).get_run(shipper.parent_run)
    assert (parent.data.tags["trials"], parent.info.status) == ("8", "FINISHED")


def test_passwords_are_not_shown() -> None:
    assert shown_uri("http://me:secret@host:5000") == "http://host:5000"
    assert shown_uri(default_uri(Path.cwd() / "runs" / "mlflow.db")) == "sqlite:///runs/mlflow.db"
