"""The lock of a study between real processes: with locks, without them, and between machines that do not see each
other's."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sweeps.state.lock import driver_of, leave_no_trace, only_driver
from sweeps.state.paths import StudyPaths

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import errno, fcntl, os, socket, sys, time
from pathlib import Path
kind, host, silent_s, folder = sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4])
real = fcntl.flock
def no_locks(*_):
    raise OSError(getattr(errno, kind), os.strerror(getattr(errno, kind)))
def own_locks(file, operation):  # as NFS mounted with local locks: each machine sees its own
    with open(folder / f"lock-of-{host}", "a") as mine:
        os.dup2(mine.fileno(), 50 if operation & fcntl.LOCK_EX else 51)
    real(50 if operation & fcntl.LOCK_EX else 51, operation)
if kind == "own":
    fcntl.flock = own_locks
elif kind != "locks":
    fcntl.flock = no_locks
if host != "here":
    socket.gethostname = lambda: host
from sweeps.state import lock
from sweeps.state.paths import StudyPaths
from tsvan.validation import UserError
lock.BEAT_S = 0.1
try:
    with lock.only_driver(StudyPaths(folder / "study"), lambda line: print(line, flush=True), silent_s):
        print("holds", flush=True)
        sys.stdin.read()
        print("lets go", flush=True)
except UserError as error:
    print(f"refused: {error}", flush=True)
"""
Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Hold]:
    """Start a process that takes the study's lock and keeps it until its stdin is closed."""
    processes: list[subprocess.Popen[str]] = []

    def start(kind: str = "locks", host: str = "here", silent_s: float = 20) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, kind, host, str(silent_s), str(tmp_path)]
        processes.append(
            subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def said(process: subprocess.Popen[str]) -> str:
    """The next line."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def ended(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None
    process.stdin.close()
    return process.wait()


@pytest.mark.parametrize("kind", ["locks", "ENOLCK", "EOPNOTSUPP", "ENOSYS"])
def test_one_driver_on_a_machine_and_after_its_death_the_next(kind: str, hold: Hold, tmp_path: Path) -> None:
    first = hold(kind)
    assert said(first) == "holds"
    assert said(hold(kind)).startswith(f"refused: another driver (process {first.pid}) works on ")
    first.kill()
    first.wait()
    third = hold(kind)  # at once and without a word: its process is gone
    assert said(third) == "holds"
    assert ended(third) == 0
    assert (tmp_path / "study" / "study.lock").read_text() == ""


@pytest.mark.parametrize("kind", ["own", "ENOLCK"])
def test_a_driver_on_another_machine_is_seen_by_its_beat(kind: str, hold: Hold) -> None:
    first = hold(kind, "a")
    assert said(first) == "holds"
    second = hold(kind, "b")
    assert said(second).startswith(f"a driver (process {first.pid} on host a) worked on this study; waiting up to 20 s")
    assert said(second).startswith(f"refused: another driver (process {first.pid} on host a) works on ")
    assert ended(first) == 0
    third = hold(kind, "b")  # it ended in order: nothing is waited for
    assert said(third) == "holds"


def test_a_driver_on_another_machine_that_is_silent_is_taken_over_from_in_words(hold: Hold) -> None:
    first = hold("own", "a")
    assert said(first) == "holds"
    first.kill()
    first.wait()
    second = hold("own", "b", 1)
    assert "waiting up to 1 s for a sign of it" in said(second)
    assert said(second) == f"no sign of process {first.pid} on host a: this driver takes over"
    assert said(second) == "holds"


def test_a_driver_that_slept_while_another_took_over_ends_at_once(hold: Hold, tmp_path: Path) -> None:
    first = hold("own", "a")
    assert said(first) == "holds"
    os.kill(first.pid, 19)  # SIGSTOP: a laptop that sleeps
    second = hold("own", "b", 0.5)
    assert [said(second) for _ in range(3)][-1] == "holds"
    os.kill(first.pid, 18)
    assert "took over the study; this one ends" in said(first)
    assert first.wait() == 2
    assert second.poll() is None
    values = json.loads((tmp_path / "study" / "study.lock").read_text())
    assert values["host"] == "b"


def test_status_names_the_driver_of_another_machine(
    hold: Hold, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = StudyPaths(tmp_path / "study")
    first = hold("own", "a")
    assert said(first) == "holds"
    assert driver_of(paths) == f"{first.pid} on host a"
    monkeypatch.setattr("sweeps.state.lock.SILENT_S", 0.0)
    assert driver_of(paths) is None
    local = hold("ENOSYS", "here", 0.0)
    assert said(local).startswith("a driver (process")

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "none")

    monkeypatch.setattr("fcntl.flock", no_locks)
    while driver_of(paths) != str(local.pid):
        assert local.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize("text", ["", "12", "{", "[]", '{"host": 1}', "\x00" * 400])
def test_whatever_an_old_or_damaged_lock_says_a_free_one_is_free(text: str, hold: Hold, tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.lock").write_text(text)
    assert driver_of(StudyPaths(tmp_path / "study")) is None
    assert said(hold()) == "holds"


def test_a_study_that_did_not_begin_leaves_no_trace(paths: StudyPaths) -> None:
    with only_driver(paths):
        leave_no_trace(paths)
        assert paths.lock.exists()  # somebody holds it
    leave_no_trace(paths)
    assert not paths.root.exists()
    with only_driver(paths):
        paths.config.touch()
    leave_no_trace(paths)
    assert paths.lock.exists()
