"""A study over three Ray nodes: one dies, one comes, the head dies, and the command goes on in a new cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from sweeps.state.paths import StudyPaths
from sweeps.state.place import places_in
from tests.cluster.nodes import Cluster, ray_cluster
from tests.faults.harness import Driver
from tests.faults.scenes import Ended
from tests.faults.server import serving
from tsvan.journal import Journal

pytestmark = pytest.mark.slow

TRIALS = 8
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Played:
    """What a study left whose cluster lost and gained nodes.

    Args:
        hosts: name of a node -> its address.
        first: end of the driver whose head died.
        last: end of the driver in the new cluster.
        before: hosts at work until the head died, by trial.
        after: hosts at work in the end, by trial.
        wrong: found by the audit.
    """

    hosts: dict[str, str]
    first: Ended
    last: Ended
    before: dict[str, list[str]]
    after: dict[str, list[str]]
    wrong: list[str]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    runs = tmp_path_factory.mktemp("nodes")
    with (
        ray_cluster() as cluster,
        serving(runs / "server", options=("--allowed-hosts", "*"), host=cluster.outside) as server,
    ):
        for name in ("head", "one", "two"):
            cluster.start(name, ours=name == "two")
        hosts = {name: node.host for name, node in cluster.nodes.items()}
        out = runs / "study"
        arguments = ["--trials", str(TRIALS), "--tracking-uri", server.uri, "--address", cluster.address]
        driver = started(cluster, out, *arguments)
        try:
            assert driver.wait_for(lambda: at_work(out) >= set(hosts.values()), PATIENCE_S), driver.text
            cluster.nodes["one"].kill()
            assert driver.wait_for(driver.says(r"node .* is gone; what ran there goes on elsewhere"), PATIENCE_S)
            hosts["three"] = cluster.start("three").host
            assert driver.wait_for(lambda: hosts["three"] in at_work(out), PATIENCE_S), driver.text
            assert driver.wait_for(lambda: hosts["two"] in running(out), PATIENCE_S), driver.text
            cluster.nodes["two"].terminate()
            assert driver.wait_for(driver.says("its machine is being taken away; it has saved"), PATIENCE_S)
            before = places(out)
            cluster.nodes["head"].kill()
            first = Ended.of(driver)
        finally:
            driver.end()
        for name in ("two", "three"):
            cluster.nodes[name].kill()
        for name in ("head", "two", "three"):
            cluster.start(name)
        driver = started(cluster, out, *arguments, "--resume")
        try:
            last = Ended.of(driver)
        finally:
            driver.end()
        yield Played(hosts, first, last, before, places(out), audit(out, TRIALS, server.database).wrong)


def started(cluster: Cluster, out: Path, *arguments: str) -> Driver:
    """A driver on the head."""
    launcher = cluster.nodes["head"].prefix
    settings = ("--set", "scheduler.kind=none", "--set", "resources.cpus_per_trial=1")
    return Driver(out, *arguments, *settings, launcher=launcher, environment=cluster.access)


def places(out: Path) -> dict[str, list[str]]:
    """The hosts at which each trial was at work, in order."""
    found = {}
    for folder in sorted((out / "trials").glob("*")):
        lines = Journal(StudyPaths(out).trial(int(folder.name)).metrics).lines()
        found[folder.name] = [place.node.split("(")[-1].rstrip(")") for place in places_in(lines)]
    return found


def running(out: Path) -> set[str]:
    """The hosts at which trials without an end are at work."""
    return {hosts[-1] for name, hosts in places(out).items() if hosts and not ended(out, name)}


def ended(out: Path, name: str) -> bool:
    return StudyPaths(out).trial(int(name)).outcome.exists()


def at_work(out: Path) -> set[str]:
    """All hosts at which some trial was at work."""
    return {host for hosts in places(out).values() for host in hosts}


def test_trials_run_on_all_nodes_that_there_are_and_on_those_that_come(played: Played) -> None:
    used = {host for hosts in played.before.values() for host in hosts}
    assert used == set(played.hosts.values())


def test_what_ran_on_a_node_that_died_went_on_elsewhere(played: Played) -> None:
    dead = played.hosts["one"]
    assert "is gone; what ran there goes on elsewhere from its checkpoint" in played.first.text
    assert "failed" not in played.first.text
    if len(set(played.hosts.values())) > 1:  # each has a network of its own
        hit = [hosts for hosts in played.after.values() if dead in hosts]
        assert hit
        assert [hosts for hosts in hit if hosts[-1] != dead]
        assert all(dead not in hosts[len(played.before.get(name, [])) :] for name, hosts in played.after.items())


def test_a_machine_that_is_taken_away_with_a_grace_period_saves_its_trial_first(played: Played) -> None:
    found = re.search(r"trials/(\d+): its machine is being taken away; it has saved, and goes on", played.first.text)
    assert found
    assert f"trials/{found[1]}: its worker died" not in played.first.text


def test_when_the_head_dies_the_study_ends_with_the_command_to_go_on(played: Played) -> None:
    assert played.first.code == 3, played.first.text
    assert "the Ray cluster is lost" in played.first.text
    assert "Go on with:" in played.first.text
    assert "Traceback" not in played.first.text


def test_nothing_was_lost(played: Played) -> None:
    assert played.last.code == 0, played.last.text
    assert "Traceback" not in played.last.text
    assert played.wrong == []
    assert len(played.after) == TRIALS
