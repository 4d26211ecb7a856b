"""SIGINT and SIGTERM, the command that they print, a second driver."""

from __future__ import annotations

import re
import signal

import pytest

from tests.faults.scenes import Stopped, stopped

pytestmark = pytest.mark.plays(scene=stopped)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_study_with_its_state_saved_and_the_printed_command_goes_on(
    played: Stopped, number: signal.Signals
) -> None:
    assert played.stops[number].code == 130, played.stops[number].text
    assert played.cut == []  # every running trial's last line is that of its newest checkpoint
    assert played.last.code == 0, played.last.text
    assert "going on with the study" in played.last.text


def test_a_second_driver_is_refused_in_a_line(played: Stopped) -> None:
    assert played.second.code == 2, played.second.text
    line = r"error: another driver \(process \d+\) works on .*; wait for it or stop it"
    assert re.fullmatch(line, played.second.text.strip())
    assert played.untouched


def test_all_agree_after_it(played: Stopped) -> None:
    assert played.wrong == []
    assert played.agree
