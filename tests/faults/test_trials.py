"""What befalls single trials: one study on real Ray with a fault in each of its trials, and what each of them kept."""

from __future__ import annotations

import pytest

from tests.faults.faulty import MARK
from tests.faults.harness import TOTAL, train_lines
from tests.faults.scenes import Faulty, faulty

pytestmark = pytest.mark.plays(scene=faulty)


def test_the_study_goes_on_and_all_agree(played: Faulty) -> None:
    assert played.first.code == 0, played.first.text
    assert "Traceback" not in played.first.text
    assert played.wrong == []
    assert played.agree


@pytest.mark.parametrize(
    "fault",
    ["none", "worker killed", "raises once", "out of memory once", "newest checkpoint damaged"],
)
def test_it_ends_as_if_nothing_had_been_without_a_line_missing_or_double(played: Faulty, fault: str) -> None:
    assert (played.folder(fault) / MARK).exists()
    assert (played.outcome(fault)["state"], played.outcome(fault)["iteration"]) == ("complete", TOTAL)
    assert [line["iteration"] for line in train_lines(played.folder(fault))] == list(range(1, TOTAL + 1))


@pytest.mark.parametrize(
    ("fault", "state", "reason"),
    [
        ("raises always", "failed", "RuntimeError: out of luck"),
        ("nan in loss", "diverged", " is nan"),
        ("inf in score", "diverged", " is inf"),
        ("out of memory always", "failed", "no room for a tensor"),
        ("all checkpoints damaged", "failed", "none of the 2 checkpoints in"),
    ],
)
def test_it_ends_with_its_reason_and_keeps_what_it_had(played: Faulty, fault: str, state: str, reason: str) -> None:
    outcome = played.outcome(fault)
    assert outcome["state"] == state
    assert reason in outcome["reason"]
    assert "\n" not in outcome["reason"]
    assert len(train_lines(played.folder(fault))) >= 8  # until its third score


def test_out_of_memory_is_tried_once_more_with_a_larger_share(played: Faulty) -> None:
    faults = (played.folder("out of memory always") / "out-of-memory.txt").read_text().splitlines()
    assert len(faults) == 2
    assert all("no room for a tensor" in line for line in faults)


def test_a_damaged_checkpoint_is_told_and_the_one_before_it_taken(played: Faulty) -> None:
    notes = (played.folder("newest checkpoint damaged") / "notes.txt").read_text()
    assert "is damaged" in notes
    assert "going back to the checkpoint before it" in notes
    assert "going back to the checkpoint before it" in played.first.text
