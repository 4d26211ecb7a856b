"""The nodes of somebody's cluster that a study may use: each is checked when it comes, and forgotten when it goes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from sweeps.execution import ray_environment
from sweeps.execution.node_check import CheckPlan, NodeReport, check_node
from sweeps.execution.slots import Placement, Slots
from tsvan.validation import first_line

ray_environment.prepare(joins=True)

import ray  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: E402

ANSWER_S = 120.0
"""How long a node may take to check itself: it may have to read a Python environment over a network first."""
_EVERY_S = 2.0


@dataclass(frozen=True)
class Member:
    """A node of the cluster that is alive.

    Args:
        node: Ray's id of it.
        host: its address.
        cpus, gpus: that Ray has there.
        report: its own; None: it has not been asked yet.
    """

    node: str
    host: str
    cpus: float
    gpus: float
    report: NodeReport | None = None

    def __str__(self) -> str:
        """Return a few words for people."""
        gpus = f", {self.gpus:g} GPU(s)" if self.gpus else ""
        name = f" {self.report.device}" if self.gpus and self.report is not None and self.report.gpu_bytes else ""
        return f"{self.host} ({self.cpus:g} core(s){gpus}{name})"


def members() -> dict[str, Member]:
    """Return the nodes that are alive, by Ray's id."""
    found = {}
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"]:
            has, name = node["Resources"], node["NodeID"]
            found[name] = Member(name, node["NodeManagerAddress"], has.get("CPU", 0.0), has.get("GPU", 0.0))
    return found


def check(nodes: list[Member], plan: CheckPlan, share: float, answer_s: float = ANSWER_S) -> list[Member]:
    """Let nodes check themselves, all at once.

    Args:
        nodes: to ask.
        plan: what they are asked.
        share: of a GPU that is tried; 0: none.
    """
    asked = {node.node: _ask(node, plan, share) for node in nodes}
    deadline = time.monotonic() + answer_s
    return [replace(node, report=_answer(asked[node.node], deadline, answer_s)) for node in nodes]


def _ask(node: Member, plan: CheckPlan, share: float) -> Any:
    gpu = share > 0 and node.gpus > 0
    there = NodeAffinitySchedulingStrategy(node.node, soft=False)
    task = ray.remote(num_cpus=0, num_gpus=share if gpu else 0, max_retries=0, max_calls=1)(check_node)
    return task.options(scheduling_strategy=there).remote(replace(plan, gpu=gpu))


def _answer(task: Any, deadline: float, answer_s: float) -> NodeReport:
    try:
        report = ray.get(task, timeout=max(deadline - time.monotonic(), 0.01))
        assert isinstance(report, NodeReport)
        return report
    except ray.exceptions.GetTimeoutError:
        ray.cancel(task, force=True)
        busy = "see that its folders answer, and that others leave it a GPU"
        return NodeReport(f"it did not answer within {answer_s:.0f} s; {busy}")
    except ray.exceptions.RayTaskError as error:
        return NodeReport(f"its interpreter can't run the check ({first_line(error.cause)}); install the project there")
    except ray.exceptions.RayError as error:
        text = str(error)
        if "No module named" in text:
            missing = text[text.index("No module named") :].splitlines()[0]
            return NodeReport(f"its interpreter lacks a part ({missing}); install the project there, at the same path")
        return NodeReport(f"its worker did not start ({first_line(error)}); see Ray's logs there")


class Roster:
    """A thread that looks for nodes that come and go, and keeps a placement true.

    Args:
        placement: of the study's jobs.
        check: lets new nodes check themselves.
        slots: what a node that passed has for jobs.
        say: told, in a line, who comes, who goes and who can't be used.
    """

    def __init__(
        self,
        placement: Placement,
        check: Callable[[list[Member]], list[Member]],
        slots: Callable[[Member], Slots],
        say: Callable[[str], None],
    ) -> None:
        self._placement, self._check, self._slots, self._say = placement, check, slots, say
        self.used: dict[str, Member] = {}
        """Nodes that passed, by Ray's id."""
        self.refused: dict[str, Member] = {}
        """Nodes that did not."""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="roster", daemon=True)

    def start(self) -> None:
        """Begin to look, in the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._closed.set()

    def adopt(self, checked: list[Member]) -> None:
        """Take nodes that have checked themselves into use, or say why not."""
        for member in checked:
            assert member.report is not None
            slots = self._slots(member)
            if member.report.problem:
                self.refused[member.node] = member
                self._say(f"  node {member} is not used: {member.report.problem}")
                continue
            self.used[member.node] = member
            self._placement.add(member.node, member.host, slots)
            self._say(f"  node {member}: {shown(slots)}")

    def look(self) -> None:
        """Look once: nodes that went are forgotten, those that came are checked."""
        alive = members()
        for node in [node for node in self.used if node not in alive]:
            gone = self.used.pop(node)
            self._placement.remove(node)
            self._say(f"  node {gone} is gone; what ran there goes on elsewhere from its checkpoint")
        for node in [node for node in self.refused if node not in alive]:
            del self.refused[node]
        new = [member for node, member in alive.items() if node not in self.used and node not in self.refused]
        if new:
            self.adopt(self._check(new))

    def _work(self) -> None:
        while not self._closed.wait(_EVERY_S):
            with suppress(ray.exceptions.RayError, OSError):  # the cluster is lost, or was left: its watch says so
                self.look()


def shown(slots: Slots) -> str:
    """Say what a node's slots are."""
    if not slots.workers:
        return "nothing for trials"
    share = f"{slots.gpus:.2g} GPU and " if slots.gpus else ""
    return f"{slots.workers} at a time, each with {share}{slots.cpus:g} core(s)"
