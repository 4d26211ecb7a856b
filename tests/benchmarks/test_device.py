"""The first minutes on a GPU, rehearsed on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from benchmarks.device import PARTS, Plan, Report, run_part

ROOT = Path(__file__).resolve().parents[2]
ABSENT = ("ray", "optuna", "mlflow", "av")
"""What the machine does not have."""


def test_the_rehearsal_goes_through_every_part_without_ray_optuna_mlflow_and_pyav(tmp_path: Path) -> None:
    for name in ABSENT:
        (tmp_path / "absent" / f"{name}.py").parent.mkdir(exist_ok=True)
        (tmp_path / "absent" / f"{name}.py").write_text(f"raise ImportError('there is no {name} here')")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks.device", "--rehearse", "--minutes", "25", "--out", str(out)]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "absent"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((out / "device.json").read_text())
    assert [row for row in rows if "failed" in row] == []
    assert list(dict.fromkeys(row["part"] for row in rows)) == list(PARTS)
    assert {row.get("step") for row in rows if row["part"] == "steps"} >= {"content", "sequence", "published mix"}
    assert {row.get("start") for row in rows if row["part"] == "learning"} >= {"published", "identity"}
    assert {"learning.png", "learning-published.png", "learning-identity.png"} <= {file.name for file in out.iterdir()}
    tables = (out / "device.md").read_text()
    assert all(f"## {part}" in tables for part in PARTS)
    assert "Not whole" not in tables


def python(code: str) -> Callable[[str, Plan], list[str]]:
    return lambda part, plan: [sys.executable, "-c", code]


def plan(seconds: float) -> Plan:
    return Plan(seconds, "", "", True)


def test_a_part_that_fails_keeps_its_rows_and_says_why() -> None:
    code = "print('{\"a\": 1}', flush=True); raise RuntimeError('the device fell off')"
    first, last = run_part("steps", plan(60), python(code))
    assert first == {"a": 1}
    assert last["failed"] == "exit code 1: RuntimeError: the device fell off"


def sleeps(pid: int) -> bool:
    """Whether the process is alive, after a moment in which the system may end it."""
    for _ in range(200):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            return False
        time.sleep(0.05)
    return True


def test_a_part_that_hangs_is_ended_by_the_clock_with_what_it_started() -> None:
    code = (
        "import subprocess, time; child = subprocess.Popen(['sleep', '600']); "
        "print('{\"child\": %d}' % child.pid, flush=True); time.sleep(600)"
    )
    start = time.monotonic()
    rows = list(run_part("steps", plan(3), python(code)))
    assert time.monotonic() - start < 60
    assert rows[-1]["failed"] == "ended by the clock after 3 s"
    assert not sleeps(rows[0]["child"])


def test_each_row_is_on_the_disk_before_the_next(tmp_path: Path) -> None:
    report = Report(tmp_path)
    report.add({"part": "steps", "ms": 1.25, "step": "content"})
    assert json.loads((tmp_path / "device.json").read_text()) == [{"part": "steps", "ms": 1.25, "step": "content"}]
    report.add({"part": "steps", "failed": "no | memory", "step": "sequence"})
    report.add({"part": "steps", "seconds": 3.0, "failed": "ended by the clock after 3 s"})
    text = (tmp_path / "device.md").read_text()
    assert "| ms | step | failed |" in text
    assert "| 1.25 | content |  |" in text
    assert "no / memory" in text
    assert "Not whole: ended by the clock after 3 s." in text
