"""What of a run is in MLflow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweeps.state.job import SCORE, SYSTEM, TRAIN
from sweeps.tracking.journal_tail import SCORE_PREFIX


@dataclass
class Contents:
    """What of a run is in MLflow.

    Args:
        iterations: kind of line -> iterations that are there.
        samples: names of sample files.
        pictures: iterations with a picture in the image view.
    """

    iterations: dict[str, set[int]] = field(default_factory=dict)
    samples: set[str] = field(default_factory=set)
    pictures: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, steps: Mapping[str, Iterable[int]], samples: Iterable[str], pictures: Iterable[int]) -> Contents:
        """Sort MLflow's view by kinds; a line arrives whole, so that one metric of it speaks for all.

        Args:
            steps: metric of the run -> its steps.
        """
        found = cls(samples=set(samples), pictures=set(pictures))
        for name, values in steps.items():
            found.iterations.setdefault(_kind(name), set()).update(values)
        return found

    def lacks(self, line: Mapping[str, Any]) -> bool:
        """Tell whether a journal's line is not there yet."""
        return line["iteration"] not in self.iterations.setdefault(line["kind"], set())

    def add(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Note lines that have arrived."""
        for line in lines:
            self.iterations.setdefault(line["kind"], set()).add(line["iteration"])


def _kind(metric: str) -> str:
    """Return the kind of the journal's lines that hold a metric of MLflow."""
    if metric.startswith(SCORE_PREFIX):
        return SCORE
    return SYSTEM if metric.startswith(f"{SYSTEM}/") else TRAIN
