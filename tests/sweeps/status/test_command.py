"""`tune_runner.py status`: a study whose driver was killed, with real Optuna and MLflow stores."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

import tune_runner
from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.search.storage import load_study
from sweeps.state.job import SCORE, TRAIN, Job, Outcome
from sweeps.state.lock import only_driver
from sweeps.state.paths import StudyPaths
from sweeps.state.record import write_record
from sweeps.state.scorer_result import ScorerResult
from sweeps.state.uris import sqlite_uri
from sweeps.tracking.destination import destination
from sweeps.tracking.run_metadata import make_uploader
from tests.sweeps.queue_steps import as_if_moved, take
from tests.sweeps.studies import open_queue, rows_of
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.journal import Journal

LOST = "lost"


def write_points(job: Job, until: int) -> None:
    journal = Journal(job.paths.metrics)
    for iteration in range(10, until + 1, 10):
        journal.append(iteration, TRAIN, {"content/encoder": 1 / iteration})
        journal.append(iteration, SCORE, {"inception_score": iteration / 10})


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, weizmann_store: ClipStore) -> Path:
    """A study's holder at the moment of its driver's death.

    Trial 0: complete, nobody heard of it. 1: at iteration 30, its run is open. 2: no checkpoint yet. 3: diverged, and
    all know. 4: its settings are only half drawn.
    """
    holder = tmp_path_factory.mktemp("runs")
    overrides = ["trials=6", "budget.iterations=100", "objective=inception_score"]
    paths, config = StudyPaths(holder / "study"), load("weizmann", "smoke", overrides)[0]
    record = write_record(paths, None, config.to_dict(), weizmann_store)
    scorer = ScorerResult("", {}, "abc", {}, {}, {}, "", [], False)
    write_atomically(paths.scorer_result, json.dumps(vars(scorer)))
    queue = open_queue(config, paths)
    jobs = [take(queue) for _ in range(4)]
    storage, study_id = rows_of(paths)
    storage.create_new_trial(study_id)
    write_points(jobs[0], 40)
    write_points(jobs[1], 30)
    jobs[1].paths.checkpoints.mkdir()
    (jobs[1].paths.checkpoints / "000000030.0123456789abcdef.pt").touch()
    (jobs[1].paths.checkpoints / ".checkpoint.77.tmp").write_bytes(bytes(2**20))
    outcome = Outcome("diverged", 20, {}, "content/encoder is nan")
    outcome.write(jobs[3].paths)
    queue.finished(jobs[3], outcome)

    def deliver_and_die() -> None:
        where = destination(None, config, paths)
        uploader = make_uploader(config, record, weizmann_store, scorer, paths, where)
        uploader.start()
        for job in jobs:
            uploader.started(job)
        uploader.ended(jobs[3], outcome)
        assert uploader.settle(60) == []
        uploader.open(60)  # a whole round later: the others are there, too
        os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(target=deliver_and_die)
    process.start()
    process.join(timeout=180)
    assert process.exitcode == -signal.SIGKILL
    write_points_after = Journal(jobs[0].paths.metrics)
    for iteration in range(50, 101, 10):
        write_points_after.append(iteration, SCORE, {"inception_score": iteration / 10})
    Outcome("complete", 100, {"inception_score": 10.0}, num_clips=8).write(jobs[0].paths)
    Journal(jobs[3].paths.metrics).append(20, TRAIN, {"content/encoder": 1.0})
    jobs[0].paths.checkpoints.mkdir()
    (jobs[0].paths.checkpoints / "000000100.0123456789abcdef.pt").touch()
    return holder


@pytest.fixture
def paths(killed: Path, tmp_path: Path) -> StudyPaths:
    """A copy, somewhere else: folders may be moved."""
    shutil.copytree(killed, tmp_path / "moved")
    return as_if_moved(StudyPaths(tmp_path / "moved" / "study"))


def status(paths: StudyPaths, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert tune_runner.main(["status", "--out", str(paths.root), *options]) == 0
    return capsys.readouterr().out


def as_json(paths: StudyPaths, capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(status(paths, capsys, "--json", *options))
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_dead_study_is_told_as_it_is_and_nothing_is_touched(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(paths.holder)
    found = as_json(paths, capsys)
    assert [(run["state"], run["optuna"], run["mlflow"]) for run in found["trials"]] == [
        ("complete", "running", "running"),
        ("interrupted", "running", "running"),
        ("not begun", "running", "running"),
        ("diverged", "diverged", "diverged"),
    ]
    first, second, _, last = found["trials"]
    assert first["problems"] == ["Optuna says running", "open in MLflow", "6 scores missing in MLflow"]
    assert last["problems"] == []
    assert (second["iteration"], second["checkpoint"], second["score"]) == (30, 30, 3)
    assert (found["stage"], found["driver"], found["asked"], found["agree"]) == ("sweep", None, 6, False)
    assert found["disagree"] == 4  # three trials and the study's own run
    text = status(paths, capsys)
    assert "4 disagree: 'tune_runner.py status --out" in text
    assert "will start again" in next(line for line in text.splitlines() if line.startswith("trials/002"))
    assert contents(paths.holder) == before


def test_repair_brings_optuna_and_mlflow_to_what_the_folders_say(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    found = as_json(paths, capsys, "--repair")
    said = "\n".join(found["mended"])
    for words in ("removed 1 half-written file, 1.0 MiB", "trial 0: told Optuna complete", "trial 4: told Optuna"):
        assert words in said
    assert (found["agree"], found["disagree"], found["parent"]) == (True, 0, "killed")
    assert [run["mlflow"] for run in found["trials"]] == ["complete", "interrupted", "interrupted", "diverged"]
    trials = load_study(paths).trials
    assert (trials[0].state, trials[0].values) == (TrialState.COMPLETE, [10.0])
    assert [trial.state for trial in trials[1:5]] == [TrialState.RUNNING] * 2 + [TrialState.FAIL] * 2
    client = MlflowClient(sqlite_uri(paths.tracking_database))
    run_id = json.loads(paths.trial(0).tracking.read_text())["run_id"]
    assert [point.step for point in client.get_metric_history(run_id, "score")] == list(range(10, 101, 10))
    assert client.get_run(run_id).info.status == "FINISHED"
    assert as_json(paths, capsys, "--repair")["mended"] == []
    assert "nothing to mend" in status(paths, capsys, "--repair")


def test_while_a_driver_lives_looking_is_safe_and_mending_is_refused(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    with only_driver(paths):
        found = as_json(paths, capsys)
        assert found["driver"] is not None
        assert [run["state"] for run in found["trials"]] == ["complete", "running", "running", "diverged"]
        assert found["disagree"] == 0  # what was not heard yet is on its way
        # The test moved the folder, and only the study's own command corrects what MLflow's store says of it.
        assert [text for text in found["damaged"] if "MLflow's store names" not in text] == []
        assert tune_runner.main(["status", "--out", str(paths.root), "--repair"]) == 2
        error = capsys.readouterr().err
    assert "another driver" in error
    assert error.count("\n") == 1


def test_a_study_at_work_tells_its_best_and_the_time_left(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    write_atomically(paths.stage, json.dumps({"total": 6, "done": 1, "since": now}))
    with only_driver(paths):
        os.utime(paths.trial(0).outcome, (now + 60, now + 60))
        os.utime(paths.trial(3).outcome, (now - 60, now - 60))  # before this driver
        found = as_json(paths, capsys)
        assert (found["best"], found["left_s"]) == ("trials/000", pytest.approx(60 * 4))  # six trials, two ended
        text = status(paths, capsys)
    assert "about 4 min 0 s left of the stage" in text
    assert "best    trials/000: 10 with ngf16 z512" in text
    assert as_json(paths, capsys)["left_s"] is None  # nobody is at work


def test_without_mlflow_the_table_still_comes(paths: StudyPaths, capsys: pytest.CaptureFixture[str]) -> None:
    paths.tracking_database.unlink()
    text = status(paths, capsys)
    assert "can't be asked (there is no sqlite" in text
    assert "trials/003" in text
    assert "Optuna says running" in text
    away = status(paths, capsys, "--tracking-uri", "http://me:secret@127.0.0.1:9")
    assert "can't be asked" in away
    assert "secret" not in away
    assert not paths.tracking_database.exists()


def test_a_folder_without_a_study_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tune_runner.main(["status", "--out", str(tmp_path / LOST)]) == 2
    assert f"no study in {tmp_path / LOST}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["gone", "cut", "no database"])
def test_the_optuna_study_is_made_again_from_the_folders(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    before = load_study(paths).trials
    data = paths.database.read_bytes()
    paths.database.unlink()
    if damage != "gone":
        paths.database.write_bytes(data[:6000] if damage == "cut" else b"nothing of the kind" * 500)
    found = as_json(paths, capsys)
    assert found["problems"][0].startswith("study.db is ")
    assert [run["optuna"] for run in found["trials"]] == ["?"] * 4
    mended = as_json(paths, capsys, "--repair")
    assert mended["mended"][1].startswith("made study.db again from 4 trial folders")
    assert mended["agree"]
    after = load_study(paths).trials
    assert [trial.params for trial in after[:4]] == [trial.params for trial in before[:4]]
    assert after[0].intermediate_values == {i: i / 10 for i in range(10, 101, 10)}
    assert [trial.state for trial in after[:4]] == [TrialState.COMPLETE] + [TrialState.RUNNING] * 2 + [TrialState.FAIL]
    assert after[0].user_attrs["origin"] == before[0].user_attrs["origin"]
    assert (paths.root / "study.db.damaged").exists() == (damage != "gone")


def test_a_lost_study_database_is_made_again_by_the_study_itself(paths: StudyPaths, config: SweepConfig) -> None:
    before = load_study(paths).trials
    paths.database.unlink()
    queue = open_queue(config, paths)
    left = [take(queue), take(queue), take(queue)]
    assert [job.number for job in left] == [1, 2, 4]  # 0 and 3 have ended, 4 was none
    assert [job.params for job in left[:2]] == [trial.params for trial in before[1:3]]


def test_a_damaged_database_stops_the_study_in_one_line(paths: StudyPaths, config: SweepConfig) -> None:
    paths.database.write_bytes(b"nothing of the kind" * 500)
    with pytest.raises(ValueError, match=r"is damaged .*--repair") as error:
        open_queue(config, paths)
    assert "\n" not in str(error.value)


def test_a_driver_that_dies_while_the_database_is_made_leaves_none(tmp_path: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom sweeps.config.load import load\n"
        "from sweeps.state.paths import StudyPaths\nfrom sweeps.search import storage\n"
        "storage.publish = lambda *_: os._exit(9)\n"
        f"storage.open_study(StudyPaths(Path({str(tmp_path)!r})), load('weizmann', 'smoke')[0])\n"
    )
    root = Path(tune_runner.__file__).parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 9
    paths = StudyPaths(tmp_path)
    assert not paths.database.exists()
    assert open_queue(load("weizmann", "smoke")[0], paths).next() is not None
