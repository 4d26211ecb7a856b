"""How far a run's files were delivered to MLflow, on disk and in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweeps.job import SCORE, Job
from tsvan.files import write_atomically

SCORE_PREFIX = "score"
"""Of the metrics of SCORE lines in MLflow: `score`, the objective, and `score/NAME`."""


@dataclass
class Delivery:
    """How far a run's files were delivered; as in `tracking.json`.

    Args:
        shipped: kind of line -> iteration up to and with which all is there.
        sending: the same as it will be when the points that are on their way have arrived; empty: none are.
    """

    run_id: str = ""
    described: bool = False
    shipped: dict[str, int] = field(default_factory=dict)
    sending: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    ended: str = ""
    model: str = ""

    @classmethod
    def read(cls, path: Path) -> Delivery:
        """Empty when nothing was delivered yet."""
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def arrived(self, steps: Mapping[str, int]) -> None:
        """The driver died while points were on their way: what came through is delivered, the rest is not.

        Args:
            steps: metric of the run -> its last step there.
        """
        for kind, intended in self.sending.items():
            there = [step for name, step in steps.items() if name.startswith(SCORE_PREFIX) == (kind == SCORE)]
            known = self.shipped.get(kind, 0)
            self.shipped[kind] = max(known, min(intended, max(there, default=0)))
        self.sending = {}

    def write(self, path: Path) -> None:
        """Atomic."""
        write_atomically(path, json.dumps(self.__dict__))


@dataclass
class Item:
    """A trial to deliver."""

    job: Job
    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    delivery: Delivery
    state: str = ""
    reason: str = ""
    offset: int = 0
    inode: int = 0


def new_lines(item: Item) -> list[dict[str, Any]]:
    """Whole lines since the last look. A trial that goes on replaces its file: then it is read from its start."""
    path = item.job.paths.metrics
    if not path.exists():
        return []
    with open(path, "rb") as file:
        inode = path.stat().st_ino
        file.seek(item.offset if inode == item.inode else 0)
        data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        item.offset, item.inode = file.tell() - len(data) + len(whole), inode
    return [json.loads(line) for line in whole.splitlines()]
