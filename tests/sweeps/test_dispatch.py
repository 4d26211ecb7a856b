"""One small sweep on real Ray, shared by the tests of this file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from sweeps.cluster import Slots, connected
from sweeps.config import SweepConfig, load
from sweeps.dispatch import run_jobs
from sweeps.job import Job, Outcome, Point, scored_points
from sweeps.paths import StudyPaths
from sweeps.search import SweepQueue
from sweeps.stopping import Stopper
from sweeps.storage import load_study
from tests.sweeps.conftest import job_maker, open_queue
from tsvan.journal import Journal

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

    def _job(self, number: int, params: dict[str, Any]) -> Job:
        forced = {1: 7.95, 2: 3.01}
        return super()._job(number, {**params, "lambda2": forced.get(number, params["lambda2"])})


@dataclass
class Swept:
    config: SweepConfig
    paths: StudyPaths
    first: Watcher
    second: Watcher


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    """A sweep that is stopped in the middle and goes on in the same cluster."""
    paths = StudyPaths(tmp_path_factory.mktemp("study"))
    config = load("weizmann", "smoke", [f"trials={TRIALS}", "budget.iterations=100"])[0]
    watchers = [Watcher(paths.stop, stop_after=12), Watcher(paths.stop)]
    with connected(None, SLOTS):
        for watcher in watchers:
            paths.stop.unlink(missing_ok=True)
            base = open_queue(config, paths)
            queue = Forced(base._study, config, job_maker(config, paths), Stopper((30, 80), 2, "maximize"))
            run_jobs(queue, [watcher], SLOTS, paths.ray, paths.stop, retries=2)
    return Swept(config, paths, *watchers)


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
