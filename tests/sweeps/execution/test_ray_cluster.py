"""Starting Ray, and noticing its end."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from sweeps.execution import cluster_watch, head_process, ray_cluster
from sweeps.execution.cluster_watch import ClusterWatch
from sweeps.execution.slots import Slots
from sweeps.state.errors import ClusterLost
from tsvan.validation import UserError

import ray  # isort: skip

SLOTS = Slots(workers=1, cpus=1, gpus=0)


def head_that(script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_process, "_command", lambda *_: ["sh", "-c", script])


def test_a_machine_that_is_too_busy_for_ray_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    head_that("echo The current node timed out during startup; exit 1", monkeypatch)
    with pytest.raises(UserError, match="too busy; run the same command again"), ray_cluster.own_cluster(SLOTS):
        pass


def test_another_failure_of_ray_is_told_in_its_own_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    head_that("echo first; echo no such thing; exit 1", monkeypatch)
    with (
        pytest.raises(UserError, match=r"Ray did not start \(no such thing\)"),
        ray_cluster.own_cluster(SLOTS),
    ):
        pass


def test_our_cluster_starts_what_a_study_needs_in_a_session_of_its_own_and_leaves_nothing() -> None:
    ray.shutdown()
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with ray_cluster.own_cluster(SLOTS) as watch:
        started = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        lines = [" ".join(child.cmdline()) for child in started]
        assert watch.answers()
        assert {os.getsid(child.pid) for child in started} & {os.getsid(0)} == set()
        option = next(word for line in lines for word in line.split() if word.startswith("--temp-dir="))
        scratch = Path(option.partition("=")[2])
        assert stat.S_IMODE(scratch.parent.stat().st_mode) == 0o700  # Ray opens its own folder, inside, to everybody
        sockets = [len(str(file)) for file in scratch.rglob("*") if file.is_socket()]
        assert sockets
        assert max(sockets) - len(tempfile.gettempdir()) <= head_process._BELOW
        assert not list(scratch.rglob("*token*"))
    assert any("gcs_server" in line for line in lines)
    assert not [line for line in lines if "monitor.py" in line]
    _, alive = psutil.wait_procs(started, timeout=30)
    assert [process for process in alive if "Agent" not in " ".join(process.cmdline())] == []


def test_folders_of_dead_drivers_are_removed_and_those_of_the_living_kept() -> None:
    living, held = head_process.own_folder()
    dead, lock = head_process.own_folder()
    lock.close()
    third, other = head_process.own_folder()
    try:
        assert living.exists()
        assert not dead.exists()
    finally:
        for folder, file in ((living, held), (third, other)):
            file.close()
            (folder / "driver.lock").unlink()
            folder.rmdir()


@pytest.mark.parametrize("trap", ["pipe", "link", "file", "folder link", "of somebody else"])
def test_what_others_put_beside_our_folders_is_left_alone(
    trap: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(head_process, "_BELOW", 0)  # the test's own folder has a long name
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "driver.lock").touch()
    folder = tmp_path / "tsvan-trap"
    if trap == "folder link":
        folder.symlink_to(precious)
    else:
        folder.mkdir()
    if trap == "pipe":
        os.mkfifo(folder / "driver.lock")
    elif trap == "link":
        (folder / "driver.lock").symlink_to(precious / "driver.lock")
    elif trap == "file":
        folder.rmdir()
        folder.touch()
    elif trap == "of somebody else":
        (folder / "driver.lock").touch()
        monkeypatch.setattr("os.geteuid", lambda: 54321)
    made, held = head_process.own_folder()  # and does not wait for whoever writes into the pipe
    held.close()
    assert made.is_dir()
    assert os.path.lexists(folder)
    assert (precious / "driver.lock").exists()


@pytest.mark.parametrize("length", [10, 26, 27, 31, 35, 39, 40, 90])
def test_a_temporary_folder_of_any_length_gives_sockets_that_fit(length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        longer = Path(base) / ("x" * (length - len(base) - 1)) if length > len(base) + 1 else Path("/tmp")
        longer.mkdir(exist_ok=True)
        monkeypatch.setattr("tempfile.tempdir", str(longer))
        folder, held = head_process.own_folder()
        held.close()
        below = "ray/session_2026-01-01_00-00-00_123456_1234567/sockets/plasma_store"
        assert len(f"{folder}/{below}") <= 107
        (folder / "driver.lock").unlink()
        folder.rmdir()


def test_without_a_usable_temporary_folder_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="set TMPDIR to one"):
        head_process.own_folder()


@pytest.mark.parametrize("name", ["TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR"])
def test_settings_of_earlier_versions_of_ray_are_put_aside(name: str) -> None:
    code = "from sweeps.execution import ray_environment as r; r.prepare(joins=False); print({!r} in r.os.environ)"
    root, environment = Path(head_process.__file__).parents[2], {**os.environ, name: "/somewhere"}
    done = subprocess.run(
        [sys.executable, "-c", code.format(name)], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_place_that_stays_silent_is_lost_after_a_while_and_one_that_comes_back_is_not(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        watch = ClusterWatch({"the raylet": place}, own=True)
        assert watch.answers()
        assert not watch.await_verdict()  # it lives
        watch.raise_if_lost()
    assert not watch.answers()
    watch.start()
    begun = time.monotonic()
    assert watch.await_verdict()
    assert time.monotonic() - begun >= 2
    with pytest.raises(ClusterLost, match=rf"the raylet at 127.0.0.1:{place[1]} does not answer"):
        watch.raise_if_lost()


def test_a_main_thread_that_ray_holds_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_watch, "STUCK_S", 0.1)
    monkeypatch.setitem(cluster_watch.PATIENCE_S, "own", 0.0)
    for in_use in (False, True):
        told: list[str] = []
        watch = ClusterWatch({"the GCS": ("127.0.0.1", 9)}, own=True)
        watch.in_use, watch.on_stuck = in_use, told.append
        watch.start()
        watch.join()
        assert told == (["the GCS at 127.0.0.1:9 does not answer"] if in_use else [])
