"""A real MLflow server that can go away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Server:
    """`mlflow server` on this machine; its database outlives it.

    Args:
        folder: of its own.
        store: address of its database; empty: a file in the folder.
        options: of the command, beside the usual ones.
        environment: what of it differs from this process's.
        host: address at which it listens.
    """

    def __init__(
        self,
        folder: Path,
        store: str = "",
        options: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.folder, self.database = folder, folder / "server.db"
        self._store = store or f"sqlite:///{self.database}"
        self._options, self._environment = options, environment or {}
        self._host = host
        with socket.socket() as probe:
            probe.bind((host, 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://{host}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        store = ["--backend-store-uri", self._store, "--artifacts-destination", str(self.folder / "a")]
        command = [sys.executable, "-m", "mlflow", "server", "--host", self._host, "--port", str(self.port), *store]
        quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
        with open(self.folder / "server.txt", "a") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", "1", *self._options],
                env={**os.environ, **quiet, **self._environment},
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


@contextmanager
def serving(folder: Path, *arguments: Any, **options: Any) -> Iterator[Server]:
    """A server for the block; arguments as those of `Server`."""
    folder.mkdir(parents=True)
    server = Server(folder, *arguments, **options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
