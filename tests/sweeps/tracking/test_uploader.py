from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from sweeps.config.schema import SweepConfig
from sweeps.state.job import TRAIN, Job, Outcome, Point
from sweeps.state.paths import StudyPaths
from sweeps.state.place import Place
from sweeps.state.uris import shown_uri, sqlite_uri
from sweeps.tracking.client import Tracker
from sweeps.tracking.journal_tail import JournalTail
from sweeps.tracking.run_upload import UploadState
from sweeps.tracking.uploader import Uploader
from tests.sweeps.studies import job_maker
from tests.sweeps.tracking.uploads import make_uploader, runs, steps, write_points, write_sample
from tsvan.journal import Journal


def test_a_trial_is_one_run_with_all_that_it_wrote(uploader: Uploader, uri: str, job: Job) -> None:
    uploader.started(job)
    write_points(job, range(1, 21))
    write_sample(job, 20)
    uploader.scored(job, Point(20, {}))
    outcome = Outcome("complete", 20, {"inception_score": 20.0})
    outcome.write(job.paths)
    uploader.ended(job, outcome)
    assert uploader.close("complete", timeout_s=20) == []
    children = [run for run in runs(uri) if run.info.run_name == "007"]
    assert len(children) == 1
    run = children[0]
    assert (run.info.status, run.data.tags["state"]) == ("FINISHED", "complete")
    assert run.data.tags["mlflow.parentRunId"] == uploader.parent_run
    assert run.data.params["lambda2"] == "5.0"
    assert run.inputs.dataset_inputs[0].dataset.name == "weizmann-real"
    assert steps(uri, job, "train/content/encoder") == list(range(1, 21))
    assert steps(uri, job, "score/inception_score") == steps(uri, job, "score") == [10, 20]
    names = {item.path for item in MlflowClient(uri).list_artifacts(run.info.run_id)}
    assert {"config.yaml", "job.json", "outcome.json", "curves.png", "samples", "images", "iter-0000020.png"} <= names


def test_where_a_trial_was_at_work_last_is_in_its_tags(uploader: Uploader, uri: str, job: Job) -> None:
    journal = Journal(job.paths.metrics)
    uploader.started(job)
    Place("a (10.0.0.1)", "CPU", 2, {"torch": "2.13.0"}).note(journal)
    write_points(job, range(1, 11))
    uploader.scored(job, Point(10, {}))
    Place("b (10.0.0.2)", "NVIDIA H100", 4, {"torch": "2.13.0"}, 10).note(journal)
    outcome = Outcome("complete", 10, {"inception_score": 10.0})
    outcome.write(job.paths)
    uploader.ended(job, outcome)
    assert uploader.settle(60) == []
    tags = MlflowClient(uri).get_run(UploadState.read(job.paths.tracking).run_id).data.tags
    assert (tags["place.node"], tags["place.device"], tags["place.threads"]) == ("b (10.0.0.2)", "NVIDIA H100", "4")
    assert json.loads(tags["place.versions"]) == {"torch": "2.13.0"}


@pytest.mark.parametrize(
    ("state", "status"),
    [("pruned", "FINISHED"), ("diverged", "FAILED"), ("failed", "FAILED"), ("complete", "FINISHED")],
)
def test_every_state_has_its_status_and_reason(uploader: Uploader, uri: str, job: Job, state: Any, status: str) -> None:
    uploader.started(job)
    outcome = Outcome(state, 3, {}, "" if state == "complete" else "why")
    outcome.write(job.paths)
    uploader.ended(job, outcome)
    assert uploader.settle(20) == []
    run = MlflowClient(uri).get_run(UploadState.read(job.paths.tracking).run_id)
    assert (run.info.status, run.data.tags.get("reason", "")) == (status, outcome.reason)


def test_after_a_death_the_same_run_goes_on_and_no_point_is_missing_or_twice(
    paths: StudyPaths, uri: str, job: Job
) -> None:
    first = make_uploader(paths, uri)
    first.start()
    first.started(job)
    write_points(job, range(1, 16))
    assert first.close("interrupted", timeout_s=20) == []
    run_id = UploadState.read(job.paths.tracking).run_id
    assert MlflowClient(uri).get_run(run_id).info.status == "KILLED"
    Journal(job.paths.metrics).truncate(10)  # the checkpoint
    second = make_uploader(paths, uri)
    second.start()
    second.started(job)
    write_points(job, range(11, 31))
    outcome = Outcome("complete", 30, {})
    outcome.write(job.paths)
    second.ended(job, outcome)
    assert second.close("complete", timeout_s=20) == []
    assert UploadState.read(job.paths.tracking).run_id == run_id
    assert MlflowClient(uri).get_run(run_id).info.status == "FINISHED"
    assert steps(uri, job, "train/content/encoder") == list(range(1, 31))
    assert steps(uri, job, "score") == [10, 20, 30]
    assert len(runs(uri)) == 2


def test_delivery_that_was_made_but_not_noted_is_made_again_without_doubling(
    paths: StudyPaths, uri: str, job: Job
) -> None:
    write_points(job, range(1, 21))
    outcome = Outcome("complete", 20, {})
    outcome.write(job.paths)
    for _ in range(2):
        uploader = make_uploader(paths, uri)
        uploader.start()
        uploader.catch_up(job, outcome)
        assert uploader.close("complete", timeout_s=20) == []
        job.paths.tracking.unlink()  # as if the driver had died before it wrote this down
        paths.tracking.unlink()
    found = [run for run in runs(uri) if run.info.run_name == "007"]
    assert len(found) == 1
    history = MlflowClient(uri).get_metric_history(found[0].info.run_id, "train/content/encoder")
    assert [point.step for point in history] == list(range(1, 21))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_driver_that_dies_inside_a_delivery_of_many_points_loses_and_doubles_none(
    paths: StudyPaths, uri: str, job: Job, moment: str
) -> None:
    """A real process, killed around its second request; then the trial writes its last iterations again."""
    write_points(job, range(1, 2001))

    def deliver_and_die() -> None:
        requests = 0

        class Dying(Tracker):
            def points(self, run_id: str, points: Any) -> None:
                nonlocal requests
                requests += 1
                if requests == 2 and moment == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
                super().points(run_id, points)
                if requests == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

        uploader = make_uploader(paths, uri, kind=Dying)
        uploader.start()
        uploader.started(job)
        uploader.close("interrupted", timeout_s=60)

    process = multiprocessing.get_context("fork").Process(target=deliver_and_die)
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL
    arrived = steps(uri, job, "train/content/encoder")
    assert arrived == list(range(1, len(arrived) + 1))
    assert 0 < len(arrived) < 2000
    Journal(job.paths.metrics).truncate(10)  # the checkpoint
    write_points(job, range(11, 2001))  # with other times
    second = make_uploader(paths, uri)
    second.start()
    second.started(job)
    assert second.close("interrupted", timeout_s=30) == []
    assert steps(uri, job, "train/content/encoder") == list(range(1, 2001))
    assert steps(uri, job, "score") == list(range(10, 2001, 10))


def test_points_whose_answer_was_lost_are_not_doubled_when_a_worker_dies_meanwhile(
    uploader: Uploader, uri: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, lost = Tracker.points, []

    def points(self: Tracker, run_id: str, points: Any) -> None:
        real(self, run_id, points)
        if not lost:
            lost.append(1)
            Journal(job.paths.metrics).truncate(10)  # its worker died, and it goes on from its checkpoint
            write_points(job, range(11, 21))
            raise ConnectionError("no answer")

    monkeypatch.setattr(Tracker, "points", points)
    write_points(job, range(1, 16))
    uploader.started(job)
    assert uploader.close("interrupted", timeout_s=20) == []
    assert lost
    assert steps(uri, job, "train/content/encoder") == list(range(1, 21))


def test_a_run_that_somebody_deleted_is_made_again(uploader: Uploader, uri: str, job: Job) -> None:
    write_points(job, range(1, 6))
    uploader.started(job)
    uploader.scored(job, Point(5, {}))
    tracking, loss = job.paths.tracking, "train/content/encoder"
    wait_until(lambda: UploadState.read(tracking).run_id != "" and steps(uri, job, loss) != [])
    MlflowClient(uri).delete_run(UploadState.read(job.paths.tracking).run_id)
    write_points(job, range(6, 11))
    uploader.scored(job, Point(10, {}))
    assert uploader.close("interrupted", timeout_s=20) == []
    assert steps(uri, job, "train/content/encoder") == list(range(1, 11))


def test_another_store_gets_everything(paths: StudyPaths, uri: str, job: Job, fresh_store: Path) -> None:
    write_points(job, range(1, 11))
    other = sqlite_uri(paths.root / "other.db")
    shutil.copy(fresh_store, paths.root / "other.db")
    outcome = Outcome("complete", 10, {})
    outcome.write(job.paths)
    for where in (uri, other):
        uploader = make_uploader(paths, where)
        uploader.start()
        uploader.catch_up(job, outcome)
        assert uploader.close("complete", timeout_s=20) == []
        assert steps(where, job, "train/content/encoder") == list(range(1, 11))


def test_pictures_are_not_doubled(paths: StudyPaths, uri: str, job: Job) -> None:
    write_sample(job, 10)
    for _ in range(2):
        uploader = make_uploader(paths, uri)
        uploader.start()
        uploader.started(job)
        assert uploader.close("interrupted", timeout_s=20) == []
    run_id = UploadState.read(job.paths.tracking).run_id
    assert len(MlflowClient(uri).list_artifacts(run_id, "images")) == 2  # the picture and its small copy


def test_one_run_that_is_refused_does_not_hold_up_the_others(
    uploader: Uploader, uri: str, job: Job, config: SweepConfig, paths: StudyPaths
) -> None:
    bad = job_maker(config, paths)(3, {"lambda2": 4.0})
    bad.write()
    Journal(bad.paths.metrics).append(1, TRAIN, {"no such name: $": 1.0})
    write_points(job, range(1, 4))
    for one in (bad, job):
        uploader.started(one)
        uploader.ended(one, Outcome("failed", 3, {}, "why"))
    assert uploader.settle(timeout_s=8) == ["trials/003"]
    assert "no such name" in uploader.problem
    assert steps(uri, job, "train/content/encoder") == [1, 2, 3]


def wait_until(happened: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_that_is_away_holds_nothing_up_and_is_told(
    paths: StudyPaths, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    paths.config.write_text("study_id: abc\n")
    uploader = make_uploader(paths, "http://127.0.0.1:9")
    uploader.start()
    uploader.started(job)
    write_points(job, range(1, 11))
    uploader.ended(job, Outcome("complete", 10, {}))
    assert uploader.close("complete", timeout_s=0.5) == ["trials/007"]
    assert uploader.problem
    assert len(list(Journal(job.paths.metrics).lines())) == 11


def test_a_torn_last_line_waits_until_it_is_whole(job: Job) -> None:
    lines = JournalTail(job.paths.metrics)
    write_points(job, range(1, 4))
    line = json.dumps({"iteration": 4, "kind": TRAIN, "time_ms": 1, "values": {}}) + "\n"
    with open(job.paths.metrics, "a") as file:
        file.write(line[:20])
        file.flush()
        assert [found["iteration"] for found in lines.new()] == [1, 2, 3]
        file.write(line[20:])
    assert [found["iteration"] for found in lines.new()] == [4]
    assert lines.new() == []
    for _ in range(2):  # a trial that goes on replaces its file, and the old one's number is free for the next
        Journal(job.paths.metrics).truncate(2)
    assert [found["iteration"] for found in lines.new()] == [1, 2]


class AsOpened:
    """A file that goes on to show what it held when it was opened, as a network file system may for a minute."""

    def __init__(self, path: Path, mode: str) -> None:
        self._file = open(path, mode)  # noqa: SIM115 - closed as a file is
        self._size = os.fstat(self._file.fileno()).st_size
        self.seek, self.fileno, self.close = self._file.seek, self._file.fileno, self._file.close

    def read(self) -> bytes:
        return self._file.read(max(0, self._size - self._file.tell()))


def test_what_another_machine_wrote_last_is_delivered_though_the_open_journal_does_not_show_it(
    uploader: Uploader, uri: str, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.tracking.journal_tail.open", AsOpened, raising=False)
    write_points(job, range(1, 11))
    uploader.started(job)
    deadline = time.monotonic() + 60
    while not (job.paths.tracking.exists() and steps(uri, job, "score") == [10]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    write_points(job, range(11, 21))
    outcome = Outcome("complete", 20, {"inception_score": 20.0})
    outcome.write(job.paths)
    uploader.ended(job, outcome)
    assert uploader.close("complete", timeout_s=60) == []
    assert steps(uri, job, "score") == [10, 20]
    assert steps(uri, job, "train/content/encoder") == list(range(1, 21))


def test_a_study_that_grows_keeps_its_run_and_shows_its_new_size(paths: StudyPaths, uri: str, job: Job) -> None:
    for trials in (6, 8):
        uploader = make_uploader(paths, uri, trials)
        uploader.start()
        uploader.catch_up(job, Outcome("pruned", trials, {}))
        assert uploader.close("complete", timeout_s=20) == []
        job.paths.tracking.unlink()
    parent = MlflowClient(uri).get_run(uploader.parent_run)
    assert (parent.data.tags["trials"], parent.info.status) == ("8", "FINISHED")


def test_passwords_are_not_shown() -> None:
    assert shown_uri("http://me:secret@host:5000") == "http://host:5000"
    assert shown_uri(sqlite_uri(Path.cwd() / "runs" / "mlflow.db")) == "sqlite:///runs/mlflow.db"
