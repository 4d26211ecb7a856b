"""What MLflow says before a study begins: each trouble is one line with a remedy, and nothing is written."""

from __future__ import annotations

import shlex
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

import tune_runner
from sweeps.config.load import load
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import sqlite_uri
from sweeps.tracking import preflight
from sweeps.tracking.client import Tracker
from sweeps.tracking.destination import Destination, destination
from tsvan.validation import UserError


@pytest.fixture
def database(tmp_path: Path, fresh_store: Path) -> Path:
    shutil.copy(fresh_store, tmp_path / "mlflow.db")
    return tmp_path / "mlflow.db"


def refusal(uri: str, experiment: str = "tsvan-test") -> str:
    with pytest.raises(UserError) as error:
        preflight.ask(Destination(uri, experiment, "tsvan-test"))
    assert "\n" not in str(error.value)
    return str(error.value)


@contextmanager
def answering(status: int, text: str = "no") -> Iterator[str]:
    """A server that always answers the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Be quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://me:pa%20ss@127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_new_store_is_told_and_not_made(tmp_path: Path) -> None:
    answer = preflight.ask(Destination(sqlite_uri(tmp_path / "a" / "mlflow.db"), "tsvan-test", "tsvan-test"))
    assert (answer.text, answer.is_there) == ("a new store", True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_is_there_is_only_looked_at(database: Path) -> None:
    before = database.read_bytes()
    answer = preflight.ask(Destination(sqlite_uri(database), "tsvan-test", "tsvan-test"))
    assert answer.text == "experiment tsvan-test (new)"
    assert preflight.ask(Destination(sqlite_uri(database), "other", "m")).text == "experiment other"
    assert database.read_bytes() == before
    assert sorted(file.name for file in database.parent.iterdir()) == ["mlflow.db"]


def test_a_deleted_experiment_is_refused_with_a_command_that_restores_it(database: Path) -> None:
    uri = sqlite_uri(database)
    client = MlflowClient(uri)
    client.delete_experiment(client.create_experiment("tsvan-test"))
    text = refusal(uri)
    assert "was deleted" in text
    assert "--experiment NAME" in text
    setting, *command = shlex.split(text.split("restore it with '")[1].split("', or")[0])
    name, _, value = setting.partition("=")
    from mlflow.cli import cli

    mlflow.set_tracking_uri(None)  # type: ignore[arg-type] # as in a process of its own
    done = CliRunner().invoke(cli, command[1:], env={name: value})
    assert (command[0], done.exit_code) == ("mlflow", 0), done.output
    assert preflight.ask(Destination(uri, "tsvan-test", "m")).text == "experiment tsvan-test"


def test_a_study_does_not_begin_with_a_deleted_experiment(
    tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = MlflowClient(sqlite_uri(database))
    client.delete_experiment(client.create_experiment("tsvan-vox"))
    monkeypatch.chdir(tmp_path)
    study = ["--dataset", "vox", "--preset", "smoke", "--out", "study", "--tracking-uri", "sqlite:///mlflow.db"]
    for dry in ([], ["--dry-run"]):
        assert tune_runner.main([*study, *dry]) == 2
        assert "was deleted; restore it with" in capsys.readouterr().err
    assert not (tmp_path / "study").exists()
    assert tune_runner.main([*study, "--dry-run", "--experiment", "mine"]) == 0
    assert "experiment mine (new)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        ("ffffffffffff", "of a later version of MLflow"),
        ("451aebb31d03", "run 'mlflow db upgrade sqlite:///"),  # MLflow's first migration but one
    ],
)
def test_a_store_of_another_version_is_refused(database: Path, revision: str, words: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    assert words in refusal(sqlite_uri(database))


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE songs (name)")
    connection.close()
    assert "a database of something else" in refusal(sqlite_uri(tmp_path / "other.db"))
    (tmp_path / "text.db").write_text("no database at all, but some text that is long enough" * 20)
    assert "not a database" in refusal(sqlite_uri(tmp_path / "text.db"))
    assert "is no database" in refusal(sqlite_uri(tmp_path / "text.db" / "mlflow.db"))
    assert "is no database" in refusal(sqlite_uri(tmp_path))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "MLFLOW_TRACKING_USERNAME"),
        (403, "--experiment NAME"),
        (404, "give the address of an MLflow server"),
    ],
)
def test_a_server_that_refuses_is_said_with_the_remedy_and_without_the_password(status: int, words: str) -> None:
    with answering(status) as uri:
        text = refusal(uri)
    assert f"answered {status}" in text
    assert words in text
    assert "pa%20ss" not in text
    assert "pa ss" not in text


def test_a_missing_driver_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "MySQLdb", None)
    assert "pip install mysqlclient" in refusal("mysql://me:it's%20secret@127.0.0.1:9/mlflow")


def test_a_server_that_is_away_does_not_keep_a_study_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    answer = preflight.ask(Destination("http://127.0.0.1:9", "tsvan-test", "m"))
    assert answer.text.startswith("http://127.0.0.1:9 does not answer (Connection refused); the trials need it not")
    assert not answer.is_there


def test_names_come_from_the_options_then_from_the_study_then_from_the_environment(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    vox = load("vox", "smoke")[0]
    plain = destination(None, vox, paths)
    assert plain == Destination(sqlite_uri(paths.tracking_database), "tsvan-vox", "tsvan-vox")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "everyone's")
    assert destination(None, vox, paths).experiment == "everyone's"
    paths.tracking.write_text('{"run_id": "r", "parent": "", "described": false, "ended": "", "model": ""}')
    assert destination(None, vox, paths).experiment == "tsvan-vox"  # begun before there was a choice
    paths.tracking.write_text('{"run_id": "r", "experiment": "mine", "model_name": "clips"}')
    assert destination(None, vox, paths) == Destination(plain.uri, "mine", "clips")
    asked = destination(None, vox, paths, "theirs", "films")
    assert (asked.experiment, asked.model) == ("theirs", "films")
    for wrong in ("a/b", "a:b", " "):
        with pytest.raises(UserError, match="--model-name"):
            destination(None, vox, paths, None, wrong)


def test_a_store_works_whatever_its_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "odd ?#%20'{x}\"&=;$(ls) ü"
    folder.mkdir()
    uri = sqlite_uri(folder / "mlflow.db")
    (tmp_path / "file.txt").write_text("kept")
    tracker = Tracker(uri, "tsvan-test", folder / "mlartifacts")
    tracker.open()
    run_id = tracker.run("s/parent", "study", {})
    tracker.points(run_id, [("score", 1.0, 1, 1)])
    tracker.artifact(run_id, tmp_path / "file.txt")
    assert preflight.ask(Destination(uri, "tsvan-test", "m")).text == "experiment tsvan-test"
    again = MlflowClient(uri)
    assert again.get_run(run_id).data.metrics == {"score": 1.0}
    (tmp_path / "back").mkdir()
    assert Path(again.download_artifacts(run_id, "file.txt", str(tmp_path / "back"))).read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["back", "file.txt", folder.name])
    assert {"mlflow.db", "mlartifacts"} <= {path.name for path in folder.iterdir()}
