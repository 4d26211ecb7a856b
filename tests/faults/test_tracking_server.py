"""A real MLflow server that goes away for a while, and for good."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.harness import Driver, at_work, in_final
from tests.faults.test_driver_killed import train_lines

Start = Callable[..., Driver]


class Server:
    """`mlflow server` on this machine; its database outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, folder / "server.db"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        store = ["--backend-store-uri", f"sqlite:///{self.database}", "--artifacts-destination", str(self.folder / "a")]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), *store]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with open(self.folder / "server.txt", "a") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", "1"],
                env={**os.environ, **quiet},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 120
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "server.txt").read_text()
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.2)

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.kill()


@pytest.mark.parametrize("away_s", [8, pytest.param(30, marks=pytest.mark.slow)])
def test_a_server_that_is_away_for_a_while_holds_nothing_up_and_gets_everything(
    away_s: int, runs: Path, server: Server, start: Start
) -> None:
    out = runs / f"away-{away_s}"
    driver = start(out, "--trials", "2", "--tracking-uri", server.uri)
    assert driver.wait_for(at_work(out))
    server.kill()
    until = time.monotonic() + away_s
    progress = at_work(out)
    assert driver.wait_for(progress, timeout_s=away_s), "training waited for the server"
    time.sleep(max(until - time.monotonic(), 0))
    server.start()
    assert driver.finish() == 0, driver.text
    assert "not delivered" not in driver.text
    assert audit(out, 2, server.database).wrong == []


def test_without_a_server_the_study_ends_and_the_same_command_delivers(
    runs: Path, server: Server, start: Start
) -> None:
    out = runs / "for-good"
    command = (out, "--trials", "2", "--tracking-uri", server.uri)
    driver = start(*command)
    assert driver.wait_for(at_work(out))
    server.kill()
    assert driver.wait_for(in_final(out))
    assert driver.wait_for(driver.says(r"final/.* complete"))
    trained = time.monotonic()
    assert driver.finish() == 0, driver.text
    assert time.monotonic() - trained < 90
    assert "not delivered to MLflow" in driver.text
    assert "trials/001" in driver.text.split("not delivered to MLflow")[1]
    outcomes = {file: file.read_bytes() for file in out.glob("*/*/outcome.json")}
    lines = {folder: train_lines(folder) for folder in out.glob("*/*") if folder.is_dir()}
    server.start()
    again = start(*command)
    assert again.finish() == 0, again.text
    assert {file: file.read_bytes() for file in outcomes} == outcomes
    assert {folder: train_lines(folder) for folder in lines} == lines
    assert audit(out, 2, server.database).wrong == []
