"""What of a run is in MLflow, and what is new in its files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from sweeps.state.job import SCORE, SYSTEM, TRAIN, Job
from tsvan.files import write_atomically
from tsvan.journal import parse_lines

SCORE_PREFIX = "score"
"""Of the metrics of SCORE lines in MLflow: `score`, the objective, and `score/NAME`."""

MetricPoint = tuple[str, float, int, int]
"""Name, value, time in ms, iteration."""


@dataclass
class UploadState:
    """What is remembered of a run's delivery, as in `tracking.json`. Which points are there, only MLflow knows.

    Args:
        run_id: of the run.
        parent: the study's run when it was made; another one means another store, where nothing is delivered yet.
        described: parameters, data and settings are there.
        ended: state that the run was ended with; all is delivered.
        model: `models:/NAME/VERSION`, if it was registered.
    """

    run_id: str = ""
    parent: str = ""
    described: bool = False
    ended: str = ""
    model: str = ""

    @classmethod
    def read(cls, path: Path) -> UploadState:
        """Empty when nothing was delivered yet."""
        if not path.exists():
            return cls()
        known = {item.name for item in fields(cls)}
        return cls(**{key: value for key, value in json.loads(path.read_text()).items() if key in known})

    def write(self, path: Path) -> None:
        """Atomic."""
        write_atomically(path, json.dumps(asdict(self)))


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
        """From MLflow's view; a line arrives whole, so that one metric of it speaks for all.

        Args:
            steps: metric of the run -> its steps.
        """
        found = cls(samples=set(samples), pictures=set(pictures))
        for name, values in steps.items():
            found.iterations.setdefault(_kind(name), set()).update(values)
        return found

    def lacks(self, line: Mapping[str, Any]) -> bool:
        """Whether a journal's line is not there yet."""
        return line["iteration"] not in self.iterations.setdefault(line["kind"], set())

    def add(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """They have arrived."""
        for line in lines:
            self.iterations.setdefault(line["kind"], set()).add(line["iteration"])


def _kind(metric: str) -> str:
    """Of the journal's lines that hold a metric of MLflow."""
    if metric.startswith(SCORE_PREFIX):
        return SCORE
    return SYSTEM if metric.startswith(f"{SYSTEM}/") else TRAIN


class Lines:
    """New whole lines of a journal. A trial that goes on replaces the file: then it is read from its start.

    The file stays open: its number can't be given to the one that replaces it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._offset = 0

    def new(self) -> list[dict[str, Any]]:
        """What was added since the last call."""
        if not self._path.exists():
            return []
        if self._file is None or not os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
            self.restart()
            self._file = open(self._path, "rb")  # noqa: SIM115 - held until it is replaced
        self._file.seek(self._offset)
        data = self._file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return list(parse_lines(whole))

    def restart(self) -> None:
        """Read from the start next time."""
        if self._file is not None:
            self._file.close()
        self._file, self._offset = None, 0


@dataclass
class Item:
    """A trial to deliver.

    Args:
        contents: what MLflow has of it; None: it must be asked.
    """

    job: Job
    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    delivery: UploadState
    lines: Lines
    state: str = ""
    reason: str = ""
    contents: Contents | None = None

    def is_delivered(self, parent: str) -> bool:
        """Whether all is there and the run has ended, below the study's run `parent`."""
        return self.delivery.parent == parent and bool(self.state) and self.delivery.ended == self.state


def units(
    lines: Iterable[Mapping[str, Any]], objective: str, largest: int
) -> Iterator[tuple[list[Mapping[str, Any]], list[MetricPoint]]]:
    """Lines in units of at most `largest` points, no line torn: MLflow takes a request whole or not at all.

    Yields:
        Lines, and their points.
    """
    unit: list[Mapping[str, Any]] = []
    points: list[MetricPoint] = []
    for line in lines:
        more = _points(line, objective)
        if unit and len(points) + len(more) > largest:
            yield unit, points
            unit, points = [], []
        unit.append(line)
        points += more
    if unit:
        yield unit, points


def _points(line: Mapping[str, Any], objective: str) -> list[MetricPoint]:
    values = dict(line["values"])
    if line["kind"] == SCORE:
        values = {f"{SCORE_PREFIX}/{name}": value for name, value in values.items()}
        if objective in line["values"]:
            values[SCORE_PREFIX] = line["values"][objective]
    return [(name, value, line["time_ms"], line["iteration"]) for name, value in values.items()]
