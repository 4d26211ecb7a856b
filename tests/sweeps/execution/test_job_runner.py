"""Small sweeps on real Ray, shared by the tests of this file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from optuna.trial import TrialState

from sweeps.config.load import load
from sweeps.config.schema import Objective, SweepConfig
from sweeps.execution.callbacks import JobCallback
from sweeps.execution.cluster_watch import ClusterWatch
from sweeps.execution.job_registry import JobRegistry
from sweeps.execution.job_runner import JobRunner
from sweeps.execution.ray_cluster import own_cluster
from sweeps.execution.searchers import QueueSearcher
from sweeps.execution.slots import Placement, Slots
from sweeps.execution.worker import claim
from sweeps.search.early_stopping import EarlyStoppingRule
from sweeps.search.storage import load_study
from sweeps.state.job import Job, Outcome, Point, scored_points
from sweeps.state.paths import StudyPaths
from tests.sweeps import fake_trial
from tests.sweeps.studies import job_maker, open_queue
from tsvan.journal import Journal
from tsvan.validation import UserError

SLOTS = Slots(workers=2, cpus=1, gpus=0)
TRIALS = 10


class Watcher(JobCallback):
    """Writes down what it sees; stops the study after `stop_after` scores."""

    def __init__(self, registry: JobRegistry, stop_after: int) -> None:
        super().__init__(registry)
        self.stop_after = stop_after
        self.starts: list[str] = []
        self.ends: dict[str, Outcome] = {}
        self.points = 0

    def started(self, job: Job) -> None:
        self.starts.append(job.name)

    def scored(self, job: Job, point: Point) -> None:
        self.points += 1
        if self.points == self.stop_after:
            Path(job.stop_file).touch()

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.ends[job.name] = outcome


@dataclass
class Swept:
    """A study's folder, and what was seen and said in each of its processes' lives."""

    paths: StudyPaths
    config: SweepConfig
    watchers: list[Watcher] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def ended(self, number: int) -> Outcome:
        outcome = Outcome.read(self.paths.trial(number))
        assert outcome is not None
        return outcome


@pytest.fixture(scope="module")
def cluster() -> Iterator[ClusterWatch]:
    with own_cluster(SLOTS) as watch:
        yield watch


def sweep(
    cluster: ClusterWatch,
    paths: StudyPaths,
    trials: int,
    faults: dict[int, str],
    rungs: tuple[int, ...] = (),
    stops: tuple[int, ...] = (10**9,),
) -> Swept:
    """One life of a study after the other, each of which is stopped after so many scores."""
    config = load("weizmann", "smoke", [f"trials={trials}", "budget.iterations=100", "objective=inception_score"])[0]
    swept = Swept(paths, config)
    for stop_after in stops:
        paths.stop.unlink(missing_ok=True)
        queue = open_queue(config, paths, faults)
        rule = EarlyStoppingRule(rungs, 2, Objective("inception_score"))
        rule.recall(queue.known_scores())
        registry = JobRegistry(paths.stop, swept.said.append, cluster.check)
        swept.watchers.append(Watcher(registry, stop_after))
        searcher = QueueSearcher(registry, queue)
        JobRunner(searcher, rule, [swept.watchers[-1]], cluster, Placement.of(SLOTS), paths.ray, retries=2).run()
    return swept


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cluster: ClusterWatch) -> Swept:
    """A sweep that is stopped in the middle and goes on in the same cluster."""
    faults = {1: fake_trial.DIVERGES, 2: fake_trial.RAISES_ONCE}
    paths = StudyPaths(tmp_path_factory.mktemp("study"))
    return sweep(cluster, paths, TRIALS, faults, rungs=(30, 80), stops=(12, 10**9))


@pytest.fixture(scope="module")
def unlucky(tmp_path_factory: pytest.TempPathFactory, cluster: ClusterWatch) -> Swept:
    """A sweep whose trials run out of memory and luck."""
    faults = {
        1: fake_trial.NEEDS_LARGER_SHARE,
        2: fake_trial.NEEDS_TOO_MUCH,
        3: fake_trial.RAISES_AFTER_SCORES,
        4: fake_trial.STUCK,
    }
    return sweep(cluster, StudyPaths(tmp_path_factory.mktemp("unlucky")), 5, faults)


def test_stopping_leaves_unfinished_trials_that_go_on_first(swept: Swept) -> None:
    first, second = swept.watchers
    left = [name for name in first.starts if name not in first.ends]
    assert left
    assert set(second.starts[: len(left)]) == set(left)
    assert len(set(first.starts + second.starts)) == TRIALS


def test_every_trial_ends_and_folder_and_optuna_agree(swept: Swept) -> None:
    expected = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    trials = load_study(swept.paths).trials
    assert [trial.number for trial in trials] == list(range(TRIALS))
    for trial in trials:
        outcome = swept.ended(trial.number)
        assert trial.state == expected.get(outcome.state, TrialState.FAIL)
        assert trial.user_attrs["state"] == outcome.state


def test_a_pruned_trial_keeps_its_score_and_the_step_it_reached(swept: Swept) -> None:
    pruned = [trial for trial in load_study(swept.paths).trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        outcome = swept.ended(trial.number)
        assert outcome.iteration in (30, 80)
        assert max(trial.intermediate_values) == outcome.iteration
        assert trial.intermediate_values[outcome.iteration] == outcome.values["inception_score"]


def test_divergence_is_a_result_and_an_exception_is_tried_again(swept: Swept) -> None:
    trials = load_study(swept.paths).trials
    assert (trials[1].state, trials[1].user_attrs["reason"]) == (TrialState.FAIL, "content/encoder is nan")
    assert trials[1].user_attrs["state"] == "diverged"
    assert (swept.paths.trial(2).folder / "raised").exists()
    assert trials[2].state in (TrialState.COMPLETE, TrialState.PRUNED)


def test_no_score_is_missing_or_twice(swept: Swept) -> None:
    for trial in load_study(swept.paths).trials:
        points = [p.iteration for p in scored_points(Journal(swept.paths.trial(trial.number).metrics))]
        assert points == sorted(set(points))
        assert set(trial.intermediate_values) == set(points)


def test_ray_leaves_nothing_behind(swept: Swept) -> None:
    assert not swept.paths.ray.exists()


def test_who_runs_out_of_memory_is_tried_once_more_with_a_device_to_itself(unlucky: Swept) -> None:
    assert unlucky.ended(1).state == "complete"
    assert json.loads(unlucky.paths.trial(1).job.read_text())["larger_share"]
    assert unlucky.paths.trial(1).memory.read_text() == "MemoryError: Unable to allocate 9 GiB\n"
    assert "  trials/001 is put aside (MemoryError: Unable to allocate 9 GiB); it goes on with" in "".join(unlucky.said)
    starts = unlucky.watchers[0].starts
    assert sorted(starts[-2:]) == ["trials/001", "trials/002"]  # when the others had ended
    assert load_study(unlucky.paths).trials[1].state == TrialState.COMPLETE


def test_who_needs_more_memory_than_there_is_fails_with_the_reason(unlucky: Swept) -> None:
    outcome = unlucky.ended(2)
    assert outcome.state == "failed"
    assert outcome.reason == "also with a device to itself: MemoryError: Unable to allocate 9 GiB"
    assert load_study(unlucky.paths).trials[2].user_attrs["reason"] == outcome.reason


def test_failures_with_progress_in_between_use_up_no_retries(unlucky: Swept) -> None:
    assert unlucky.ended(3).state == "complete"  # three failures, two retries
    line = "  trials/003: RuntimeError: out of luck again; it starts again from its checkpoint"
    assert unlucky.said.count(line) == 3


def test_scores_that_come_again_are_no_progress(unlucky: Swept) -> None:
    outcome = unlucky.ended(4)
    assert (outcome.state, outcome.reason) == ("failed", "RuntimeError: stuck")
    assert outcome.iteration == 20
    assert sum("RuntimeError: stuck" in line for line in unlucky.said) == 2  # the retries that it had


def test_seconds_are_those_of_all_processes(unlucky: Swept) -> None:
    noted = float(unlucky.paths.trial(3).seconds.read_text())
    assert unlucky.ended(3).seconds >= noted > 0


def test_a_full_disk_stops_the_study_and_no_trial_is_blamed(
    tmp_path_factory: pytest.TempPathFactory, cluster: ClusterWatch
) -> None:
    paths, faults = StudyPaths(tmp_path_factory.mktemp("full")), {1: fake_trial.DISK_FULL}
    (paths.root / "full").touch()
    with pytest.raises(UserError, match=r"metrics\.jsonl: No space left on device; free space and run"):
        sweep(cluster, paths, 3, faults)
    assert Outcome.read(paths.trial(1)) is None
    ends = [outcome for number in range(3) if (outcome := Outcome.read(paths.trial(number))) is not None]
    assert "failed" not in [outcome.state for outcome in ends]
    (paths.root / "full").unlink()
    found = sweep(cluster, paths, 3, faults)
    assert [found.ended(number).state for number in range(3)] == ["complete"] * 3


def test_two_processes_never_work_on_one_trial(tmp_path: Path) -> None:
    job = job_maker(load("weizmann", "smoke")[0], StudyPaths(tmp_path))(0, {"lambda2": 5.0})
    held = claim(job, patience_s=0.3)
    with pytest.raises(RuntimeError, match="another process still works"):
        claim(job, patience_s=0.3)
    threading.Timer(0.1, held.close).start()
    claim(job, patience_s=5).close()
