"""SIGINT and SIGTERM, the command that they print, a second driver, a server that is away: one study, all of it."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.conftest import Start
from tests.faults.harness import at_work
from tests.faults.server import serving
from tests.faults.test_driver_killed import status, train_lines

AWAY_S = 8


def stopped(runs: Path, start: Start) -> None:
    out = runs / "stopped"
    with serving(runs / "server-stopped") as server:
        driver = start(out, "--trials", "2", "--tracking-uri", server.uri)
        for number in (signal.SIGINT, signal.SIGTERM):
            assert driver.wait_for(at_work(out))
            if number == signal.SIGINT:
                _second_driver_is_refused(out, start)
            driver.kill(number)
            assert driver.process.returncode == 130, driver.text
            _nothing_is_lost(out)
            driver = start(out, line=_printed(driver.text))
        assert driver.wait_for(at_work(out))
        server.go_away(AWAY_S, driver)
        assert driver.finish() == 0, driver.text
        assert "going on with the study" in driver.text
        assert "not delivered" not in driver.text
        assert audit(out, 2, server.database).wrong == []
        assert status(out, server.uri)["agree"] is True


@pytest.mark.plays(stopped, seconds=90)
def test_a_study_that_is_stopped_goes_on_shares_with_nobody_and_does_without_its_server(played: None) -> None:
    """All is asserted on the way."""


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
