"""Nodes that come, go or can't be used, as the study hears of them. The cluster is played."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from sweeps.config.load import load
from sweeps.execution import roster
from sweeps.execution.node_check import NodeReport
from sweeps.execution.roster import Member, Roster
from sweeps.execution.slots import Placement, Slots
from sweeps.execution.study_nodes import divided, nothing_left, shares
from sweeps.state.paths import StudyPaths


def member(name: str, problem: str = "", cpus: float = 8, gpus: float = 0, gpu_bytes: int = 0) -> Member:
    return Member(name, f"10.0.0.{name}", cpus, gpus, NodeReport(problem, "H100" if gpus else "CPU", gpu_bytes))


def test_nodes_that_come_are_checked_once_and_those_that_go_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: dict[str, Member] = {}
    problems = {"2": "it does not see the clips"}
    monkeypatch.setattr(roster, "members", lambda: dict(alive))
    checked: list[str] = []
    said: list[str] = []

    def check(new: list[Member]) -> list[Member]:
        checked.extend(node.node for node in new)
        return [replace(node, report=NodeReport(problems.get(node.node, ""))) for node in new]

    placement = Placement()
    watched = Roster(placement, check, lambda node: Slots(1, node.cpus, 0), said.append)
    for now in (["1", "2"], ["1", "2"], ["1", "2", "3"], ["2", "3"], ["3"]):
        alive = {name: replace(member(name), report=None) for name in now}
        watched.look()
    assert checked == ["1", "2", "3"]
    assert [host for host, _ in placement.nodes()] == ["10.0.0.3"]
    assert said == [
        "  node 10.0.0.1 (8 core(s)): 1 at a time, each with 8 core(s)",
        "  node 10.0.0.2 (8 core(s)) is not used: it does not see the clips",
        "  node 10.0.0.3 (8 core(s)): 1 at a time, each with 8 core(s)",
        "  node 10.0.0.1 (8 core(s)) is gone; what ran there goes on elsewhere from its checkpoint",
    ]
    alive = {name: replace(member(name), report=None) for name in ("2", "3")}
    watched.look()  # a node that was refused, went and came again is asked again
    assert checked == ["1", "2", "3", "2"]


def test_nodes_of_several_kinds_are_each_divided_by_their_own(paths: StudyPaths) -> None:
    config = load("weizmann", "smoke", ["resources.gpus_per_trial=auto"])[0]
    paths.memory.parent.mkdir(parents=True)
    paths.memory.write_text('{"peak_bytes": 10000000000}')
    large, small = member("1", cpus=64, gpus=2, gpu_bytes=80 * 10**9), member("2", gpus=1, gpu_bytes=16 * 10**9)
    found = [large, small, member("3", cpus=32)]
    slots = divided(config, found, shares(config, paths, found, dry=False))
    # 10 GB and 15% for gaps, and 0.63 GB of the process itself: 12.1 GB, which fit 6 times into 80 GB and once into 16.
    assert slots(large) == Slots(12, 5, pytest.approx(1 / 6))
    assert slots(small) == Slots(1, 8, 1.0)
    assert slots(found[2]).workers == 0


def test_workers_are_spread_over_the_nodes_that_passed(paths: StudyPaths) -> None:
    config = load("weizmann", "smoke", ["resources.workers=4"])[0]
    found = [member("1"), member("2", problem="no folder"), member("3")]
    slots = divided(config, found, shares(config, paths, found, dry=False))
    assert [slots(found[place]) for place in (0, 2)] == [Slots(2, 4, 0), Slots(2, 4, 0)]
    assert slots(member("9")) == Slots(2, 4, 0)  # comes later


def test_a_cluster_without_a_usable_node_is_named_with_the_reason() -> None:
    found = [member("1", problem="it has other versions"), member("2", problem="no folder")]
    assert nothing_left(found) == (
        "no node of the Ray cluster can be used (and 1 more, above); 10.0.0.1 (8 core(s)): it has other versions"
    )
    assert "no cores or GPUs for a trial" in nothing_left([member("1", cpus=0)])


def test_what_a_gpu_is_measured_with_travels_to_its_node(paths: StudyPaths) -> None:
    config = load("weizmann", "smoke", ["resources.gpus_per_trial=auto"])[0]
    assert pickle.loads(pickle.dumps((config, paths))) == (config, paths)
