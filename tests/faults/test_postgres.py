"""Two people's studies at once: Optuna's in PostgreSQL, MLflow's behind passwords, its tables in PostgreSQL too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from mlflow import MlflowClient

from tests.faults.harness import ROOT, Driver, Start, at_work, title
from tests.faults.server import Server, serving
from tests.postgres import Postgres, serving_postgres

ADMIN, ADMINS = "admin", "the admin's password"
PEOPLE = {"alice": "alice's/pass:word@1", "bob": "bob's/pass:word@2"}
TRIALS = 3


@dataclass(frozen=True)
class Served:
    """Both servers."""

    postgres: Postgres
    mlflow: Server

    def environment(self, person: str) -> dict[str, str]:
        """What a person sets for MLflow."""
        names = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
        patience = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
        return dict(zip(names, (self.mlflow.uri, person, PEOPLE[person]), strict=True)) | patience


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    pytest.importorskip("flask_wtf", reason="MLflow's passwords need Flask-WTF; pip install 'mlflow[auth]'")
    folder = tmp_path_factory.mktemp("servers")
    with serving_postgres() as postgres:
        for name in ("mlflow", "mlflow_users", "optuna"):
            postgres.sql(f"create database {name}")
        for person, password in PEOPLE.items():
            quoted = password.replace("'", "''")
            postgres.sql(f"create role {person} login password '{quoted}'")
            postgres.sql(f"grant create on schema public to {person}", "optuna")
            postgres.sql(f"alter default privileges for role {person} grant all on tables to public", "optuna")
            postgres.sql(f"alter default privileges for role {person} grant all on sequences to public", "optuna")
        users = postgres.uri("mlflow_users").replace("%", "%%")
        config = folder / "auth.ini"
        config.write_text(
            "[mlflow]\ndefault_permission = READ\n"
            f"database_uri = {users}\nadmin_username = {ADMIN}\nadmin_password = {ADMINS}\n"
            "auth_cache_ttl_seconds = 600\n"  # else each request hashes a password, which takes a second here
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
        )
        environment = {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of the test"}
        with serving(folder / "mlflow", postgres.uri("mlflow"), ("--app-name", "basic-auth"), environment) as server:
            for person, password in PEOPLE.items():
                _add_user(server.uri, person, password)
            yield Served(postgres, server)


def _add_user(uri: str, person: str, password: str) -> None:
    body = json.dumps({"username": person, "password": password}).encode()
    request = urllib.request.Request(f"{uri}/api/2.0/mlflow/users/create", body, {"Content-Type": "application/json"})
    request.add_header("Authorization", "Basic " + b64encode(f"{ADMIN}:{ADMINS}".encode()).decode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 200


def test_two_people_share_both_servers_through_a_kill_and_a_restart_and_no_password_shows(
    served: Served, runs: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begin(person: str, *arguments: str) -> Driver:
        own = ("--experiment", person, "--model-name", person)
        options = ("--trials", str(TRIALS), *own, *arguments)
        return start(runs / person, *options, environment=served.environment(person))

    def storage(person: str) -> tuple[str, str]:
        return "--storage", served.postgres.uri("optuna", person, PEOPLE[person])

    alice, bob = begin("alice", *storage("alice")), begin("bob", *storage("bob"))
    assert alice.wait_for(at_work(alice.out)), alice.text
    texts = [title(process) for driver in (alice, bob) for process in _processes(driver)]
    alice.kill(signal.SIGKILL)
    served.postgres.stop()
    served.postgres.start()
    again = begin("alice", "--resume", *storage("alice"))
    assert (bob.finish(), again.finish()) == (0, 0), bob.text + again.text
    said = [alice, bob, again]
    for person, last in (("alice", again), ("bob", bob)):
        while "not delivered to MLflow" in last.text and len(said) < 9:  # a loaded machine
            last = begin(person, *storage(person))
            said.append(last)
            assert last.finish() == 0, last.text
    studies = served.postgres.sql("select study_name from studies", "optuna")
    assert len({name for (name,) in studies}) == len(studies) == 2
    ended = "select count(*) from trials where state not in ('RUNNING', 'WAITING') group by study_id"
    assert served.postgres.sql(ended, "optuna") == [(TRIALS,)] * 2
    for person in PEOPLE:
        assert not (runs / person / "study.db").exists()
        found = _status(runs / person, served, person)
        assert found["agree"], found
        assert [trial["optuna"] for trial in found["trials"]] == [trial["state"] for trial in found["trials"]]
        for name, value in served.environment(person).items():
            monkeypatch.setenv(name, value)
        client = MlflowClient()
        assert client.get_experiment_by_name(person) is not None
        assert str(client.get_model_version_by_alias(person, "champion").version) == "1"
        texts += [file.read_text(errors="replace") for file in (runs / person).rglob("*") if file.is_file()]

    # Without the database the folder is whole, and makes the study again.
    served.postgres.sql("drop database optuna with (force)")
    found = _status(runs / "alice", served, "alice")
    assert not found["agree"]
    assert "does not exist" in found["problems"][0]
    own = begin("alice", "--storage", "folder")
    assert own.finish() == 0, own.text
    assert (runs / "alice" / "study.db").exists()
    found = _status(runs / "alice", served, "alice")
    assert (found["agree"], len(found["trials"])) == (True, TRIALS), found

    heard = [driver.text for driver in (*said, own)]
    for text in (*texts, *heard):
        assert not any(part in text for word in PEOPLE.values() for part in (word, quote(word, safe=""), word[-9:]))
    for text in heard:  # MLflow's own lines for each run that ends
        assert "View run" not in text
        assert "View experiment" not in text


def _processes(driver: Driver) -> list[psutil.Process]:
    return [psutil.Process(driver.process.pid), *driver.family()]


def _status(out: Path, served: Served, person: str) -> dict[str, Any]:
    storage = {"OPTUNA_STORAGE": served.postgres.uri("optuna", person, PEOPLE[person])}
    command = [sys.executable, "tune_runner.py", "status", "--out", str(out), "--json"]
    environment = {**os.environ, **served.environment(person), **storage}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout)
    return values
