"""Lines of a journal become MLflow's points."""

from __future__ import annotations

import pytest

from sweeps.state.job import SCORE, SYSTEM, TRAIN
from sweeps.tracking.contents import Contents
from sweeps.tracking.journal_tail import batches

LINES = [
    {"kind": TRAIN, "iteration": 10, "time_ms": 1, "values": {"content/kl": 1.0, "rate/iterations_per_s": 2.0}},
    {"kind": SYSTEM, "iteration": 10, "time_ms": 2, "values": {"system/process_memory_megabytes": 3.0}},
    {"kind": SCORE, "iteration": 10, "time_ms": 3, "values": {"accuracy": 0.5, "kernel_distance": 4.0}},
]


def names(lines) -> list[str]:
    return sorted(point[0] for _, points in batches(lines, "kernel_distance", 900) for point in points)


def test_the_objective_is_the_first_of_all_metrics() -> None:
    assert names(LINES) == [
        "score",
        "score/accuracy",
        "score/kernel_distance",
        "system/process_memory_megabytes",
        "train/content/kl",
        "train/rate/iterations_per_s",
    ]


@pytest.mark.parametrize("loss", ["train/content/kl", "content/kl"])
def test_losses_are_known_by_todays_names_and_by_those_of_before(loss: str) -> None:
    contents = Contents.of({loss: [10]}, [], [])
    assert [contents.lacks(line) for line in LINES] == [False, True, True]
