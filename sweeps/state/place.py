"""Where a run was at work: node, device, threads and versions, a line of its journal for each process."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sweeps.state.versions import versions
from tsvan.journal import Journal
from tsvan.terminal import counted

PLACE = "place"


@dataclass(frozen=True)
class Place:
    """The place of a run from some iteration on.

    Args:
        node: name of the machine; in a cluster with its address.
        device: name of the GPU, or `CPU`.
        threads: of the CPU.
        versions: of the code and of what numbers depend on.
        iteration: from which it was at work there.
    """

    node: str
    device: str
    threads: int
    versions: dict[str, str] = field(default_factory=dict)
    iteration: int = 0

    @classmethod
    def here(cls, address: str, device: str, threads: int, iteration: int) -> Place:
        """Return the place of this process; `address` is that of its node in a cluster."""
        name = socket.gethostname()
        node = f"{name} ({address})" if address else name
        return cls(node, device, threads, versions(), iteration)

    def note(self, journal: Journal) -> None:
        """Add the place to a run's journal."""
        values = {name: value for name, value in asdict(self).items() if name != "iteration"}
        journal.append(self.iteration, PLACE, {}, texts=values)

    def __str__(self) -> str:
        """Return a few words for people."""
        return f"{self.node}, {self.device}, {counted(self.threads, 'thread')}"


def read_place(line: Mapping[str, Any]) -> Place | None:
    """Read the place in a journal's line; None: it holds none."""
    texts = line.get("texts")
    if line["kind"] != PLACE or not isinstance(texts, dict):
        return None
    kinds = (("node", str), ("device", str), ("threads", int), ("versions", dict))
    if not all(isinstance(texts.get(name), kind) for name, kind in kinds):
        return None
    return Place(texts["node"], texts["device"], texts["threads"], texts["versions"], line["iteration"])


def places_in(lines: Iterable[Mapping[str, Any]]) -> list[Place]:
    """List the places of a run in the order in which it was there."""
    return [place for line in lines if (place := read_place(line)) is not None]


def place_tags(place: Place) -> dict[str, str]:
    """Return what MLflow is told of a place."""
    return {
        "place.node": place.node,
        "place.device": place.device,
        "place.threads": str(place.threads),
        "place.versions": json.dumps(place.versions),
    }
