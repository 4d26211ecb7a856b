"""The process that starts Ray on this machine, its folder, and its end. Ray itself is not imported here.

A cluster of our own listens on this machine only, and lacks the processes that one machine's study does not need.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sweeps.execution.slots import Slots
from tsvan.validation import UserError

HOST = "127.0.0.1"
_START_S = 120.0
_LOCK = "driver.lock"
_LONGEST_SOCKET = 107  # characters of a socket's path that Linux takes
_BELOW = len("/tsvan-12345678/ray/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store")
_UP = "Ray runtime started"


@dataclass(frozen=True)
class Head:
    """The process of Ray that runs our own cluster.

    Args:
        process: Ray's own command; the cluster ends with it.
        address: of the cluster.
        log: what the command says.
    """

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def await_start(self) -> None:
        """Wait until the cluster is up.

        Raises:
            UserError: it does not start.
        """
        deadline = time.monotonic() + _START_S
        while _UP not in (text := self.log.read_text(errors="replace")):
            over = self.process.poll() is not None
            if not over and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            if not over or "timed out during startup" in text:
                busy = "Ray did not start, this machine is too busy"
                raise UserError(f"{busy}; run the same command again when it has time")
            said = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "without a word")
            raise UserError(f"Ray did not start ({said}); see that this machine can run 'ray start --head'")


@contextmanager
def running_head(slots: Slots) -> Iterator[Head]:
    """Begin to start a cluster with `slots`, that ends with the block or with this process."""
    importable_in_workers()
    scratch, held = own_folder()
    process: subprocess.Popen[bytes] | None = None
    try:
        port, log = _free_port(), scratch / "head.log"
        with open(log, "wb") as file:
            command, quiet = _command(slots, port, scratch), subprocess.DEVNULL
            process = subprocess.Popen(command, stdin=quiet, stdout=file, stderr=file, start_new_session=True)
        yield Head(process, f"{HOST}:{port}", log)
    finally:
        if process is not None:
            _end(process)
        shutil.rmtree(scratch, ignore_errors=True)
        held.close()


def importable_in_workers() -> None:
    """Let workers, which start elsewhere, find this project as this process does."""
    here = str(Path(__file__).resolve().parents[2])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if here not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, paths)])


def own_folder() -> tuple[Path, IO[str]]:
    """Make a folder for Ray's sockets and logs, with the lock that says that its driver lives; remove the dead's."""
    base = _temporary_folder()
    for folder in Path(base).glob("tsvan-*"):
        _remove_dead(folder)
    folder = Path(tempfile.mkdtemp(prefix="tsvan-", dir=base))
    held = open(folder / f"{_LOCK}.new", "w")  # noqa: SIM115 - held as long as the cluster
    fcntl.flock(held, fcntl.LOCK_EX)
    os.rename(held.name, folder / _LOCK)
    return folder, held


def _temporary_folder() -> str:
    """Find a folder in which Ray's sockets have short enough names. Raises UserError: there is none."""
    usable = [base for base in (tempfile.gettempdir(), "/tmp", "/dev/shm") if len(base) <= _LONGEST_SOCKET - _BELOW]
    found = next((base for base in usable if os.access(base, os.W_OK | os.X_OK)), None)
    if found is None:
        raise UserError(
            f"Ray needs a temporary folder that can be written and whose path has at most {_LONGEST_SOCKET - _BELOW} "
            f"characters; set TMPDIR to one"
        )
    return found


def _remove_dead(folder: Path) -> None:
    """Remove what a dead driver of ours left. Others may put anything into a folder for all: a link, a pipe that blocks
    whoever opens it, or folders of their own, which are left alone."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with suppress(OSError):
        found = os.lstat(folder)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return
        handle = os.open(folder / _LOCK, flags)
        try:
            if stat.S_ISREG(os.fstat(handle).st_mode) and os.fstat(handle).st_uid == os.geteuid():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held by a living driver: raises
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)


def _command(slots: Slots, port: int, scratch: Path) -> list[str]:
    options = {
        "port": port,
        "node-ip-address": HOST,
        "num-cpus": slots.workers * slots.cpus,
        "object-store-memory": 100 * 2**20,
        "temp-dir": scratch / "ray",  # which Ray opens to everybody; the folder around it stays ours alone
        "include-dashboard": "false",
        "include-log-monitor": "false",
    }
    named = [f"--{name}={value}" for name, value in options.items()]
    flags = ["--head", "--block", "--no-monitor", "--disable-usage-stats"]
    return [sys.executable, "-m", "sweeps.execution.ray_head", str(os.getpid()), "start", *flags, *named]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
