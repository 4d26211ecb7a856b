"""SIGINT and SIGTERM, the command that they print, a second driver, locked databases: one study goes through it all."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.ledger import audit
from tests.faults.harness import Driver, at_work
from tests.faults.test_driver_killed import status, train_lines

Start = Callable[..., Driver]


def test_a_study_that_is_stopped_goes_on_and_shares_with_nobody(runs: Path, start: Start) -> None:
    out = runs / "stopped"
    driver = start(out, "--trials", "2")
    for number in (signal.SIGINT, signal.SIGTERM):
        assert driver.wait_for(at_work(out))
        if number == signal.SIGINT:
            _second_driver_is_refused(out, start)
        driver.kill(number)
        assert driver.process.returncode == 130, driver.text
        _nothing_is_lost(out)
        driver = start(out, line=_printed(driver.text))
    assert driver.wait_for(at_work(out))
    _lock([out / "study.db", runs / "mlflow.db"], seconds=8)
    assert driver.finish() == 0, driver.text
    assert "going on with the study" in driver.text
    assert "not delivered" not in driver.text
    assert audit(out, 2).wrong == []
    assert status(out)["agree"] is True


def _nothing_is_lost(out: Path) -> None:
    """Every running trial's last line is that of its newest checkpoint."""
    for folder in (out / "trials").iterdir():
        lines = train_lines(folder)
        if lines and not (folder / "outcome.json").exists():
            saved = max(int(file.name.split(".")[0]) for file in folder.glob("checkpoints/*.pt"))
            assert lines[-1]["iteration"] == saved


def _printed(text: str) -> str:
    """The command after "Go on with:"."""
    found = re.search(r"Go on with:\n\s+(python .*)", text)
    assert found, text
    assert found[1].endswith("--resume")
    return found[1]


def _second_driver_is_refused(out: Path, start: Start) -> None:
    before = {file: file.read_bytes() for file in (out / "study.yaml", out / "study.lock")}
    second = start(out, "--trials", "3")
    assert second.finish() == 2, second.text
    line = second.text.strip()
    assert re.fullmatch(r"error: another driver \(process \d+\) works on .*; wait for it or stop it", line)
    assert {file: file.read_bytes() for file in before} == before


def _lock(databases: list[Path], seconds: float) -> None:
    """As another program would."""
    locks = [sqlite3.connect(path, isolation_level=None, timeout=20) for path in databases]
    for lock in locks:
        lock.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    for lock in locks:
        lock.close()
