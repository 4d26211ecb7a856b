"""A real MLflow server that goes away for a while, and for good."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.harness import Start, at_work
from tests.faults.scenes import Faulty, be_away, faulty
from tests.faults.server import serving


def away_for_half_a_minute(runs: Path, start: Start) -> None:
    """Six whole trials, as a study that ends while the server is away would not wait for it so long."""
    out = runs / "away"
    with serving(runs / "server-away") as server:
        driver = start(out, "--trials", "6", "--set", "scheduler.kind=none", "--tracking-uri", server.uri)
        assert driver.wait_for(at_work(out))
        be_away(server, driver, 30)
        assert driver.finish() == 0, driver.text
        assert "not delivered" not in driver.text
        assert audit(out, 6, server.database).wrong == []


@pytest.mark.slow
@pytest.mark.plays(scene=away_for_half_a_minute)
def test_a_server_that_is_away_for_half_a_minute_holds_nothing_up_and_gets_everything(played: None) -> None:
    """The scene asserts it."""


@pytest.mark.plays(scene=faulty)
def test_a_server_that_is_away_for_seconds_holds_nothing_up_and_gets_everything(played: Faulty) -> None:
    """The scene asserts it."""


@pytest.mark.plays(scene=faulty)
def test_without_a_server_the_study_ends_and_the_same_command_delivers(played: Faulty) -> None:
    assert played.first.code == 0, played.first.text
    assert played.settled_s < 90
    assert "not delivered to MLflow" in played.first.text
    assert "final/report" in played.first.text.split("not delivered to MLflow")[1]
    assert played.again.code == 0, played.again.text
    assert "not delivered" not in played.again.text
    assert played.kept
    assert played.wrong == []
