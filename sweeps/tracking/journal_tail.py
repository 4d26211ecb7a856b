"""New lines of a trial's journal, and the points that MLflow gets of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from sweeps.state.job import SCORE, TRAIN
from tsvan.journal import parse_lines

SCORE_PREFIX = "score"
"""Of the metrics of SCORE lines in MLflow: `score`, the objective, and `score/NAME`."""

TRAIN_PREFIX = "train/"
"""Of the metrics of TRAIN lines in MLflow, whose lists are alphabetical: `score` comes first."""

MetricPoint = tuple[str, float, int, int]
"""Name, value, time in ms, iteration."""


class JournalTail:
    """New whole lines of a journal. A trial that goes on replaces the file: then it is read from its start.

    The file stays open: its number can't be given to the one that replaces it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._offset = 0

    def new(self) -> list[dict[str, Any]]:
        """Return the lines that were added since the last call."""
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

    def open_again(self) -> None:
        """Open the file anew for the next call, which goes on where it was.

        A network file system asks its server what a file holds when it is opened; until then it may show what it held
        some seconds ago, without the last lines that another machine wrote.
        """
        if self._file is not None and self._path.exists():
            again = open(self._path, "rb")  # noqa: SIM115 - held until it is replaced
            if not os.path.samestat(os.fstat(again.fileno()), os.fstat(self._file.fileno())):
                self._offset = 0
            self._file.close()
            self._file = again

    def restart(self) -> None:
        """Read from the start next time."""
        if self._file is not None:
            self._file.close()
        self._file, self._offset = None, 0


def batches(
    lines: Iterable[Mapping[str, Any]], objective: str, largest: int
) -> Iterator[tuple[list[Mapping[str, Any]], list[MetricPoint]]]:
    """Group lines into requests of at most `largest` points, no line torn: MLflow takes a request whole or not at all.

    Yields:
        Lines, and their points.
    """
    batch: list[Mapping[str, Any]] = []
    points: list[MetricPoint] = []
    for line in lines:
        more = _points(line, objective)
        if batch and len(points) + len(more) > largest:
            yield batch, points
            batch, points = [], []
        batch.append(line)
        points += more
    if batch:
        yield batch, points


def _points(line: Mapping[str, Any], objective: str) -> list[MetricPoint]:
    values = dict(line["values"])
    if line["kind"] == SCORE:
        values = {f"{SCORE_PREFIX}/{name}": value for name, value in values.items()}
        if objective in line["values"]:
            values[SCORE_PREFIX] = line["values"][objective]
    if line["kind"] == TRAIN:
        values = {f"{TRAIN_PREFIX}{name}": value for name, value in values.items()}
    return [(name, value, line["time_ms"], line["iteration"]) for name, value in values.items()]
