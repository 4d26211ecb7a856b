"""A real MLflow server that goes away for a while, and for good. One that is away for seconds: `test_signals.py`."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.conftest import Start
from tests.faults.harness import at_work, in_final
from tests.faults.server import serving
from tests.faults.test_driver_killed import train_lines


def away_for_half_a_minute(runs: Path, start: Start) -> None:
    """Six trials: a study that ends while the server is away would not wait for it so long."""
    out = runs / "away"
    with serving(runs / "server-away") as server:
        driver = start(out, "--trials", "6", "--set", "scheduler.kind=none", "--tracking-uri", server.uri)
        assert driver.wait_for(at_work(out))
        server.go_away(30, driver)
        assert driver.finish() == 0, driver.text
        assert "not delivered" not in driver.text
        assert audit(out, 6, server.database).wrong == []


def away_for_good(runs: Path, start: Start) -> None:
    out = runs / "for-good"
    with serving(runs / "server-for-good") as server:
        command = (out, "--trials", "2", "--tracking-uri", server.uri)
        driver = start(*command)
        assert driver.wait_for(at_work(out))
        server.kill()
        assert driver.wait_for(in_final(out))
        assert driver.wait_for(driver.says(r"final/.* complete"))
        trained = time.monotonic()
        assert driver.finish() == 0, driver.text
        assert time.monotonic() - trained < 90
        assert "not delivered to MLflow" in driver.text
        assert "trials/001" in driver.text.split("not delivered to MLflow")[1]
        outcomes = {file: file.read_bytes() for file in out.glob("*/*/outcome.json")}
        lines = {folder: train_lines(folder) for folder in out.glob("*/*") if folder.is_dir()}
        server.start()
        again = start(*command)
        assert again.finish() == 0, again.text
        assert {file: file.read_bytes() for file in outcomes} == outcomes
        assert {folder: train_lines(folder) for folder in lines} == lines
        assert audit(out, 2, server.database).wrong == []


@pytest.mark.slow
@pytest.mark.plays(away_for_half_a_minute, seconds=90)
def test_a_server_that_is_away_for_half_a_minute_holds_nothing_up_and_gets_everything(played: None) -> None:
    """All is asserted on the way."""


@pytest.mark.plays(away_for_good, seconds=60)
def test_without_a_server_the_study_ends_and_the_same_command_delivers(played: None) -> None:
    """All is asserted on the way."""
