"""Starting Ray, and noticing its end."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import psutil
import pytest

from sweeps.execution import head_process, ray_cluster
from sweeps.execution.cluster_watch import ClusterWatch
from sweeps.execution.slots import Slots
from sweeps.state.errors import ClusterLost
from tsvan.validation import UserError

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
    ray_cluster.ray.shutdown()
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    with ray_cluster.own_cluster(SLOTS) as watch:
        started = [child for child in psutil.Process().children(recursive=True) if child.pid not in before]
        lines = [" ".join(child.cmdline()) for child in started]
        assert watch.answers()
        assert {os.getsid(child.pid) for child in started} & {os.getsid(0)} == set()
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
