"""How many jobs run at a time, on which nodes, and what each gets."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Slots:
    """The shares of a machine: how many jobs run at a time, and what each gets.

    Args:
        workers: jobs at a time.
        cpus: cores of each.
        gpus: GPUs of each, or a fraction of one.
    """

    workers: int
    cpus: float
    gpus: float

    @property
    def threads(self) -> int:
        """Return how many threads a job uses."""
        return max(int(self.cpus), 1)


@dataclass(frozen=True)
class Slot:
    """The place of one job.

    Args:
        node: Ray's id of the node; empty: anywhere.
        host: address of the node.
        slots: those of the node, of which this is one.
    """

    node: str
    host: str
    slots: Slots


def jobs_a_gpu(share: float) -> int:
    """Return how many jobs with a share of a GPU fit on one: 0.4 fits twice."""
    return max(int(1 / share + 1e-9), 1)


def slots_of(cpus: float, gpus: float, share: float, cpus_asked: int | None = None, most: int | None = None) -> Slots:
    """Divide a node: as many jobs as fit, each with an equal share of the cores.

    Args:
        cpus, gpus: that Ray has there.
        share: of a GPU, that a job needs; 0: none.
        cpus_asked: cores that each job is to have; None: the equal share.
        most: jobs there, whatever fits; None: on a CPU one, which has all cores.

    Returns:
        The node's slots; of no workers where none fits.
    """
    by_cpu = int(cpus // (cpus_asked or 1))
    if share > 0:
        count = int(gpus) * jobs_a_gpu(share)
        count = min(count, by_cpu) if cpus_asked else count
    else:
        count = by_cpu if cpus_asked or most is not None else min(by_cpu, 1)
    count = count if most is None else min(count, most)
    if count < 1:
        return Slots(0, 0, share)
    return Slots(count, cpus_asked or (cpus // count if cpus >= count else cpus / count), share)


def spread(most: int, capacities: Mapping[str, int]) -> dict[str, int]:
    """Spread `most` jobs evenly over nodes, each of which takes so many: node -> jobs."""
    found = dict.fromkeys(capacities, 0)
    for _ in range(min(most, sum(capacities.values()))):
        free = [node for node, capacity in capacities.items() if found[node] < capacity]
        found[min(free, key=lambda node: found[node])] += 1
    return found


class Placement:
    """The slots of all nodes, and which of Ray's trials is in which. A thread may change the nodes meanwhile.

    Args:
        most: jobs at a time on all nodes together; None: as many as fit.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._nodes: dict[str, tuple[str, Slots]] = {}
        self._taken: dict[str, Slot] = {}
        self._recent: list[str] = []
        self._lock = threading.Lock()

    @classmethod
    def of(cls, slots: Slots) -> Placement:
        """Return the placement of one machine of our own, where Ray itself finds the place."""
        made = cls()
        made.add("", "", slots)
        return made

    def add(self, node: str, host: str, slots: Slots) -> None:
        """Add a node, or give it other slots; what runs there keeps what it has."""
        with self._lock:
            self._nodes[node] = (host, slots)

    def remove(self, node: str) -> None:
        """Remove a node: nothing is placed there any more."""
        with self._lock:
            self._nodes.pop(node, None)

    def take(self, trial_id: str) -> Slot | None:
        """Take a free slot: where one was freed last, as its worker is still there, else on the emptiest node."""
        with self._lock:
            if self._most is not None and len(self._taken) >= self._most:
                return None
            free = {node: slots.workers - self._busy(node) for node, (_, slots) in self._nodes.items()}
            free = {node: count for node, count in free.items() if count > 0}
            if not free:
                return None
            recent = next((node for node in reversed(self._recent) if node in free), None)
            node = max(free, key=lambda name: free[name]) if recent is None else recent
            if recent is not None:
                self._recent.remove(recent)
            host, slots = self._nodes[node]
            slot = self._taken[trial_id] = Slot(node, host, slots)
            return slot

    def release(self, trial_id: str) -> None:
        """Free the slot of a trial, if it has one."""
        with self._lock:
            slot = self._taken.pop(trial_id, None)
            if slot is not None and slot.node in self._nodes:
                self._recent.append(slot.node)

    def slot(self, trial_id: str) -> Slot | None:
        """Return the slot of a trial; None: it has none."""
        return self._taken.get(trial_id)

    def is_gone(self, trial_id: str) -> bool:
        """Tell whether the node of a trial's slot is no longer there."""
        slot = self._taken.get(trial_id)
        return slot is not None and slot.node not in self._nodes

    def uses(self, node: str) -> bool:
        """Tell whether jobs go to a node."""
        return node in self._nodes or "" in self._nodes

    @property
    def workers(self) -> int:
        """Return how many jobs run at a time."""
        fit = sum(slots.workers for _, slots in self.nodes())
        return fit if self._most is None else min(fit, self._most)

    def nodes(self) -> Iterable[tuple[str, Slots]]:
        """Return hosts and slots of the nodes, in the order in which they came."""
        with self._lock:
            return list(self._nodes.values())

    def limit(self, most: int | None) -> None:
        """Let so many jobs run at a time from now on; None: as many as fit."""
        self._most = most

    def shrink(self) -> int:
        """Let one job fewer run at a time from now on, and return how many that are."""
        self._most = max(self.workers - 1, 1)
        return self._most

    def _busy(self, node: str) -> int:
        return sum(slot.node == node for slot in self._taken.values())
