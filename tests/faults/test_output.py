"""Nobody listens: a pipe whose reader left, a full disk behind stdout, an encoding without λ, a terminal that goes."""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.harness import Start, at_work, status


@dataclass(frozen=True)
class Unheard:
    """A study whose words nobody could read.

    Args:
        heard: what the pipe's reader got before it left.
        hangup: exit code of the driver whose terminal went.
        last: exit code of the driver that wrote to a full device.
        log: `study.log`, after the hangup and at the end.
        wrong: found by the audit.
        agree: as `status` says.
    """

    heard: bytes
    hangup: int
    last: int
    log: tuple[str, str]
    wrong: list[str]
    agree: bool


def unheard(runs: Path, start: Start) -> Unheard:
    """A reader that leaves after the first words, then SIGHUP twice; the same command again, into a full device."""
    holder = runs / "unheard"
    shutil.copytree(runs / "stores", holder / "stores")
    out, trials = holder / "study", ["--trials", "2"]
    reader, writer = os.pipe()
    driver = start(out, *trials, output=writer, environment={"PYTHONIOENCODING": "latin-1"})
    os.close(writer)
    heard = os.read(reader, 1000)
    os.close(reader)
    assert driver.wait_for(at_work(out))
    driver.process.send_signal(signal.SIGHUP)
    driver.process.send_signal(signal.SIGHUP)
    hangup, logged = driver.finish(), (out / "study.log").read_text()
    with open("/dev/full", "wb") as full:
        last = start(out, *trials, output=full).finish()
    log = (logged, (out / "study.log").read_text())
    return Unheard(heard, hangup, last, log, audit(out, len(trials)).wrong, status(out)["agree"])


pytestmark = pytest.mark.plays(scene=unheard)


def test_a_study_goes_on_to_its_end_where_nobody_reads(played: Unheard) -> None:
    assert b"new study in" in played.heard
    assert played.last == 0, played.log[1]
    assert played.wrong == []
    assert played.agree


def test_a_terminal_that_goes_lets_the_trials_save(played: Unheard) -> None:
    assert played.hangup == 130, played.log[0]
    assert "stopping: running trials save a checkpoint" in played.log[0]
    assert "Go on with:" in played.log[0]


def test_the_log_has_all_lines_as_they_are_meant(played: Unheard) -> None:
    log = played.log[1]
    assert log.startswith(played.log[0])
    for words in ("new study in", "λ2=", "going on with the study", "trials/001 ", "verdict: ", "took "):
        assert words in log
    assert "Traceback" not in log
    assert "see to the disk" not in log
