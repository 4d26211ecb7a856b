"""SIGINT and SIGTERM, the command that they print, and a second driver. One study goes through all of it."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

from benchmarks.ledger import audit
from tests.faults.harness import Driver, at_work
from tests.faults.test_driver_killed import status, train_lines

Start = Callable[..., Driver]


def test_a_signal_saves_and_the_printed_command_goes_on(runs: Path, start: Start) -> None:
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
    assert driver.finish() == 0, driver.text
    assert "going on with the study" in driver.text
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
