"""Starting Ray."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from sweeps.execution import ray_cluster
from tsvan.validation import UserError

SLOTS = ray_cluster.Slots(workers=1, cpus=1, gpus=0)


def failing(message: str) -> object:
    def init(**_: object) -> None:
        raise Exception(message)

    return init


def test_a_machine_that_is_too_busy_for_ray_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster.tempfile, "gettempdir", lambda: str(tmp_path))
    late = "The current node timed out during startup. This could happen"
    monkeypatch.setattr(ray_cluster.ray, "init", failing(late))
    with pytest.raises(UserError, match="too busy; run the same command again"), ray_cluster.connected(None, SLOTS):
        pass


def test_another_failure_of_ray_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ray_cluster.ray, "init", failing("no such thing"))
    with pytest.raises(Exception, match="no such thing"), ray_cluster.connected(None, SLOTS):
        pass


def test_only_the_processes_that_a_study_needs_are_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_cluster.tempfile, "gettempdir", lambda: str(tmp_path))
    ray_cluster.ray.shutdown()
    with ray_cluster.connected(None, SLOTS):
        started = [" ".join(child.cmdline()) for child in psutil.Process().children(recursive=True)]
    assert any("gcs_server" in line for line in started)
    assert not [line for line in started if "monitor.py" in line or "dashboard.py" in line]
