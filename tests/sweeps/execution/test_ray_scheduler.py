"""One small sweep on real Ray, shared by the tests of this file."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from optuna.trial import TrialState

from sweeps.config.load import load
from sweeps.config.schema import Objective, SweepConfig
from sweeps.execution.ray_cluster import Slots, _own_folder, connected
from sweeps.execution.ray_scheduler import MAX_REQUEUES, _Desk, _Eye, run_jobs
from sweeps.execution.worker import _claim
from sweeps.search.early_stopping import Stopper
from sweeps.search.storage import load_study
from sweeps.search.trial_queue import SweepQueue
from sweeps.state.job import Job, Outcome, Point, scored_points
from sweeps.state.paths import StudyPaths
from tests.sweeps.studies import job_maker, open_queue
from tsvan.journal import Journal
from tsvan.validation import UserError

from ray.tune.experiment import Trial  # isort: skip

SLOTS = Slots(workers=2, cpus=1, gpus=0)
TRIALS = 10


@dataclass
class Watcher:
    """Writes down what it sees; stops the study after `stop_after` scores."""

    stop: Path
    stop_after: int = 10**9
    starts: list[str] = field(default_factory=list)
    ends: dict[str, Outcome] = field(default_factory=dict)
    points: int = 0

    def started(self, job: Job) -> None:
        self.starts.append(job.name)

    def scored(self, job: Job, point: Point) -> None:
        self.points += 1
        if self.points == self.stop_after:
            self.stop.touch()

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.ends[job.name] = outcome


class Forced(SweepQueue):
    """Trials 1 and 2 get values at which the fake trial diverges and raises once."""

    forced: ClassVar[dict[int, float]] = {1: 7.95, 2: 3.01}

    def _job(self, number: int, params: dict[str, Any]) -> Job:
        return super()._job(number, {**params, "lambda2": self.forced.get(number, params["lambda2"])})


class Unlucky(Forced):
    """Memory is too small for 1, much too small for 2; 3 raises three times and gets on each time, 4 gets stuck."""

    forced: ClassVar[dict[int, float]] = {1: 3.5, 2: 3.6, 3: 3.7, 4: 3.9}


class Full(Forced):
    """Trial 1 finds a full disk."""

    forced: ClassVar[dict[int, float]] = {1: 3.8}


@dataclass
class Swept:
    config: SweepConfig
    paths: StudyPaths
    first: Watcher
    second: Watcher
    said: list[str]


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with connected(None, SLOTS):
        yield


def sweep(kind: type[Forced], paths: StudyPaths, watchers: list[Watcher], trials: int, stopper: Stopper) -> Swept:
    config = load("weizmann", "smoke", [f"trials={trials}", "budget.iterations=100"])[0]
    said: list[str] = []
    for watcher in watchers:
        paths.stop.unlink(missing_ok=True)
        queue = kind(open_queue(config, paths)._study, config, job_maker(config, paths), stopper)
        run_jobs(queue, [watcher], SLOTS, paths.ray, paths.stop, retries=2, say=said.append)
    return Swept(config, paths, watchers[0], watchers[-1], said)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Swept:
    """A sweep that is stopped in the middle and goes on in the same cluster."""
    paths = StudyPaths(tmp_path_factory.mktemp("study"))
    watchers = [Watcher(paths.stop, stop_after=12), Watcher(paths.stop)]
    return sweep(Forced, paths, watchers, TRIALS, Stopper((30, 80), 2, Objective()))


@pytest.fixture(scope="module")
def unlucky(tmp_path_factory: pytest.TempPathFactory, cluster: None) -> Swept:
    """A sweep whose trials run out of memory and luck."""
    paths = StudyPaths(tmp_path_factory.mktemp("unlucky"))
    return sweep(Unlucky, paths, [Watcher(paths.stop)], 5, Stopper((), 2, Objective()))


def test_stopping_leaves_unfinished_trials_that_go_on_first(swept: Swept) -> None:
    left = [name for name in swept.first.starts if name not in swept.first.ends]
    assert left
    assert swept.second.starts[: len(left)] == left
    assert len(swept.first.starts) + len(swept.second.starts) - len(left) == TRIALS


def test_every_trial_ends_and_folder_and_optuna_agree(swept: Swept) -> None:
    expected = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
    trials = load_study(swept.paths).trials
    assert [trial.number for trial in trials] == list(range(TRIALS))
    for trial in trials:
        outcome = Outcome.read(swept.paths.trial(trial.number))
        assert outcome is not None
        assert trial.state == expected.get(outcome.state, TrialState.FAIL)
        assert trial.user_attrs["state"] == outcome.state


def test_a_pruned_trial_keeps_its_score_and_the_step_it_reached(swept: Swept) -> None:
    pruned = [trial for trial in load_study(swept.paths).trials if trial.state == TrialState.PRUNED]
    assert pruned
    for trial in pruned:
        outcome = Outcome.read(swept.paths.trial(trial.number))
        assert outcome is not None
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


def ended(swept: Swept, number: int) -> Outcome:
    outcome = Outcome.read(swept.paths.trial(number))
    assert outcome is not None
    return outcome


def test_who_runs_out_of_memory_is_tried_once_more_with_a_device_to_itself(unlucky: Swept) -> None:
    assert ended(unlucky, 1).state == "complete"
    assert json.loads(unlucky.paths.trial(1).job.read_text())["larger_share"]
    assert unlucky.paths.trial(1).memory.read_text() == "MemoryError: Unable to allocate 9 GiB\n"
    assert "  trials/001 is put aside (MemoryError: Unable to allocate 9 GiB); it goes on with" in "".join(unlucky.said)
    assert sorted(unlucky.first.starts[-2:]) == ["trials/001", "trials/002"]  # when the others had ended
    assert load_study(unlucky.paths).trials[1].state == TrialState.COMPLETE


def test_who_needs_more_memory_than_there_is_fails_with_the_reason(unlucky: Swept) -> None:
    outcome = ended(unlucky, 2)
    assert outcome.state == "failed"
    assert outcome.reason == "also with a device to itself: MemoryError: Unable to allocate 9 GiB"
    assert load_study(unlucky.paths).trials[2].user_attrs["reason"] == outcome.reason


def test_failures_with_progress_in_between_use_up_no_retries(unlucky: Swept) -> None:
    assert ended(unlucky, 3).state == "complete"  # three failures, two retries
    line = "  trials/003: RuntimeError: out of luck again; it starts again from its checkpoint"
    assert unlucky.said.count(line) == 3


def test_scores_that_come_again_are_no_progress(unlucky: Swept) -> None:
    outcome = ended(unlucky, 4)
    assert (outcome.state, outcome.reason) == ("failed", "RuntimeError: stuck")
    assert outcome.iteration == 20
    assert sum("RuntimeError: stuck" in line for line in unlucky.said) == 2  # the retries that it had


def test_seconds_are_those_of_all_processes(unlucky: Swept) -> None:
    noted = float(unlucky.paths.trial(3).seconds.read_text())
    assert ended(unlucky, 3).seconds >= noted > 0


def test_a_full_disk_stops_the_study_and_no_trial_is_blamed(
    tmp_path_factory: pytest.TempPathFactory, cluster: None
) -> None:
    paths = StudyPaths(tmp_path_factory.mktemp("full"))
    (paths.root / "full").touch()
    watcher = Watcher(paths.stop)
    with pytest.raises(UserError, match=r"metrics\.jsonl: No space left on device; free space and run"):
        sweep(Full, paths, [watcher], 3, Stopper((), 2, Objective()))
    assert Outcome.read(paths.trial(1)) is None
    assert "failed" not in [outcome.state for outcome in watcher.ends.values()]
    (paths.root / "full").unlink()
    found = sweep(Full, paths, [Watcher(paths.stop)], 3, Stopper((), 2, Objective()))
    assert [ended(found, number).state for number in range(3)] == ["complete"] * 3


def test_two_processes_never_work_on_one_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = job_maker(load("weizmann", "smoke")[0], StudyPaths(tmp_path))(0, {"lambda2": 5.0})
    monkeypatch.setattr("sweeps.execution.worker._ORPHAN_S", 0.3)
    held = _claim(job)
    with pytest.raises(RuntimeError, match="another process still works"):
        _claim(job)
    threading.Timer(0.1, held.close).start()
    _claim(job).close()


def test_folders_of_dead_drivers_are_removed_and_those_of_the_living_kept() -> None:
    living, held = _own_folder()
    dead, lock = _own_folder()
    lock.close()
    third, other = _own_folder()
    try:
        assert living.exists()
        assert not dead.exists()
    finally:
        for folder, file in ((living, held), (third, other)):
            file.close()
            (folder / "driver.lock").unlink()
            folder.rmdir()


def test_a_job_whose_worker_died_before_it_began_is_handed_out_again(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    watcher = Watcher(paths.stop)
    desk = _Desk(queue, [watcher], paths.stop, lambda line: None)
    eye = _Eye(desk)
    for attempt in range(MAX_REQUEUES + 1):
        ray_trial = SimpleNamespace(
            trial_id=f"t{attempt}", status=Trial.PENDING, error_file=None, should_recover=lambda: False
        )
        job = desk.take(ray_trial.trial_id)
        assert job is not None
        assert job.name == "trials/000"  # the same one each time, before any other
        eye.on_trial_error(None, ray_trial)  # type: ignore[arg-type]
        desk.end(ray_trial.trial_id, error=True)
        assert bool(desk.again) == (attempt < MAX_REQUEUES)
    assert watcher.ends["trials/000"].state == "failed"  # but not for ever
