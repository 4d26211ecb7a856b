"""What Ray Tune may expect of every searcher, and the study of every callback. Ray's side is played without Ray."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.config.schema import Objective, SweepConfig
from sweeps.execution.callbacks import JobCallback, TableCallback, UploadCallback
from sweeps.execution.job_registry import MAX_REQUEUES, JobRegistry
from sweeps.execution.scheduler import EarlyStoppingScheduler
from sweeps.execution.searchers import JobSearcher, QueueSearcher, RerunSearcher
from sweeps.execution.worker import NOTES, OUTCOME, POINT
from sweeps.search.early_stopping import EarlyStoppingRule
from sweeps.state.errors import ClusterLost
from sweeps.state.job import Job, Outcome, Point
from sweeps.state.paths import StudyPaths
from tests.sweeps.studies import job_maker, open_queue

from ray.tune.experiment import Trial  # isort: skip
from ray.tune.schedulers import TrialScheduler  # isort: skip
from ray.tune.search import Searcher  # isort: skip

MakeSearcher = Callable[[JobRegistry], JobSearcher]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def registry(paths: StudyPaths, said: list[str]) -> JobRegistry:
    return JobRegistry(paths.stop, said.append)


@pytest.fixture(params=["queue", "reruns"])
def searcher(
    request: pytest.FixtureRequest, config: SweepConfig, paths: StudyPaths, registry: JobRegistry
) -> JobSearcher:
    """Both, with six jobs each."""
    if request.param == "queue":
        return QueueSearcher(registry, open_queue(config, paths))
    make = job_maker(config, paths)
    return RerunSearcher(registry, [make(number, {"lambda2": 5.0}) for number in range(6)])


@pytest.fixture(params=[UploadCallback, TableCallback])
def callback(request: pytest.FixtureRequest, registry: JobRegistry) -> JobCallback:
    """Both, before somebody who writes down what is told."""
    found: JobCallback = request.param(registry, Told())
    return found


class Told:
    """An uploader or a table."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.lines: list[str] = []
        self.error: Exception | None = None

    def say(self, line: str) -> None:
        self.lines.append(line)

    def started(self, job: Job) -> None:
        self.calls.append(("started", job.name))

    def scored(self, job: Job, point: Point) -> None:
        if self.error:
            raise self.error
        self.calls.append((f"scored {point.iteration}", job.name))

    def ended(self, job: Job, outcome: Outcome) -> None:
        self.calls.append((outcome.state, job.name))


def told_by(callback: JobCallback) -> Told:
    (found,) = [value for value in vars(callback).values() if isinstance(value, Told)]
    return found


def ray_trial(trial_id: str, status: str = Trial.RUNNING, error: str = "", tmp: Path | None = None) -> Any:
    file = None
    if error:
        assert tmp is not None
        file = tmp / "error.txt"
        file.write_text(f"Failure # 1 (occurred at some time)\n{error}\n")
    return SimpleNamespace(
        trial_id=trial_id,
        status=status,
        error_file=str(file) if file else None,
    )


def suggested(searcher: JobSearcher, trial_id: str) -> Job:
    config = searcher.suggest(trial_id)
    return Job.from_dict(json.loads(Path(config["job"]).read_text()))


def result_of(job: Job, iteration: int) -> dict[str, Any]:
    return {POINT: json.dumps([iteration, dict.fromkeys(job.objectives, 1.0)]), "done": False}


def complete(job: Job) -> Outcome:
    return Outcome("complete", job.score_at[-1], dict.fromkeys(job.objectives, 1.0))


def test_it_suggests_every_job_once_by_its_file_and_then_is_finished(searcher: JobSearcher) -> None:
    names = []
    for number in range(6):
        job = suggested(searcher, f"t{number}")
        names.append(job.name)
        complete(job).write(job.paths)
        searcher.on_trial_complete(f"t{number}", {"done": True})
    assert names == [f"trials/{number:03d}" for number in range(6)]
    assert searcher.suggest("last") == Searcher.FINISHED


def test_an_end_in_the_workers_last_result_counts_though_its_file_does_not_show(searcher: JobSearcher) -> None:
    job = suggested(searcher, "a")
    searcher.on_trial_complete("a", {OUTCOME: json.dumps(asdict(complete(job))), "done": True})
    assert searcher.registry.outcome("a") == complete(job)
    assert not job.paths.outcome.exists()  # and nothing is written over it


def test_an_end_that_was_written_is_never_replaced(searcher: JobSearcher, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared file system shows the file late; here, on the second look."""
    job, looks, read = suggested(searcher, "a"), [], Outcome.read
    complete(job).write(job.paths)
    monkeypatch.setattr(Outcome, "read", lambda paths: looks.append(paths) or (read(paths) if len(looks) > 1 else None))
    searcher.on_trial_complete("a", error=True)
    assert searcher.registry.outcome("a") == complete(job)
    assert json.loads(job.paths.outcome.read_text())["state"] == "complete"


def test_a_job_whose_worker_died_before_it_began_is_handed_out_again_but_not_for_ever(searcher: JobSearcher) -> None:
    scheduler = EarlyStoppingScheduler(searcher.registry, None)
    for attempt in range(MAX_REQUEUES + 1):
        trial = ray_trial(f"t{attempt}", Trial.PENDING)
        assert suggested(searcher, trial.trial_id).name == "trials/000"  # before any other
        scheduler.on_trial_error(None, trial)
        searcher.on_trial_complete(trial.trial_id, error=True)
        outcome = searcher.registry.outcome(trial.trial_id)
        assert (outcome is None) == (attempt < MAX_REQUEUES)
    assert outcome is not None
    assert (outcome.state, outcome.reason) == ("failed", "its worker died")


def test_a_job_that_was_interrupted_has_no_end_and_nothing_more_is_handed_out(
    searcher: JobSearcher, paths: StudyPaths
) -> None:
    job = suggested(searcher, "a")
    paths.stop.touch()
    searcher.on_trial_complete("a", {"done": True})
    assert searcher.registry.outcome("a") is None
    assert not job.paths.outcome.exists()
    assert searcher.suggest("b") == Searcher.FINISHED


def test_a_dead_cluster_is_no_jobs_fault(searcher: JobSearcher) -> None:
    def lost() -> None:
        raise ClusterLost("the GCS does not answer")

    searcher.registry.check_cluster = lost
    job, scheduler = suggested(searcher, "a"), EarlyStoppingScheduler(searcher.registry, None)
    for hook in (
        lambda: scheduler.on_trial_error(None, ray_trial("a")),  # before Ray asks the dead for another worker
        lambda: searcher.on_trial_complete("a", error=True),
    ):
        with pytest.raises(ClusterLost):
            hook()
    assert searcher.registry.put_back(excused=True) == []
    assert not job.paths.outcome.exists()
    assert suggested(searcher, "b").name == job.name


def test_what_ray_lost_goes_on_first_and_what_ended_meanwhile_has_ended(searcher: JobSearcher) -> None:
    jobs = [suggested(searcher, trial_id) for trial_id in "ab"]
    complete(jobs[0]).write(jobs[0].paths)
    assert [(job.name, end.state) for job, end in searcher.registry.put_back(excused=True)] == [
        (jobs[0].name, "complete")
    ]
    assert suggested(searcher, "c").name == jobs[1].name


def test_memory_that_others_took_is_no_jobs_fault(searcher: JobSearcher, tmp_path: Path) -> None:
    scheduler = EarlyStoppingScheduler(searcher.registry, None)
    error = "OutOfMemoryError: Memory on the node was 22.90GB used / 23.54GB limit (0.97)\nSelected to kill: (pid=7, "
    for attempt in range(20):
        job = suggested(searcher, f"t{attempt}")
        trial = ray_trial(f"t{attempt}", error=error + "actual memory used=0.06GB)", tmp=tmp_path)
        scheduler.on_trial_error(None, trial)
        searcher.on_trial_complete(f"t{attempt}", error=True)
        assert job.name == "trials/000"
        assert not job.paths.outcome.exists()
    assert scheduler.pressure is not None
    assert str(scheduler.pressure) == "22.9 of 23.5 GiB were in use"


def test_a_full_disk_stops_the_study_and_is_no_exception_of_rays(
    searcher: JobSearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "write", lambda job: (_ for _ in ()).throw(sqlite3.OperationalError("disk is full")))
    assert searcher.suggest("a") == Searcher.FINISHED
    assert "free space and run the same command again" in searcher.registry.problem


def test_nothing_is_saved_for_ray(searcher: JobSearcher, tmp_path: Path) -> None:
    searcher.save(str(tmp_path / "state"))
    searcher.save_to_dir(str(tmp_path))
    searcher.restore(str(tmp_path / "state"))
    assert [file.name for file in tmp_path.iterdir()] == ["study"]


def test_a_score_is_told_to_optuna_unless_the_trial_is_stopped_at_it(
    config: SweepConfig, paths: StudyPaths, registry: JobRegistry
) -> None:
    queue = open_queue(config, paths)
    searcher, rule = QueueSearcher(registry, queue), EarlyStoppingRule((30,), 2, Objective("inception_score"))
    scheduler, decisions = EarlyStoppingScheduler(registry, rule), []
    for trial_id, score in (("a", 5.0), ("b", 4.0)):
        trial, job = ray_trial(trial_id), suggested(searcher, trial_id)
        result = {POINT: json.dumps([30, {"inception_score": score}])}
        decisions.append(scheduler.on_trial_result(None, trial, result))
        if decisions[-1] == TrialScheduler.STOP:
            searcher.on_trial_complete(trial_id, result)
        else:
            searcher.on_trial_result(trial_id, result)
    assert decisions == [TrialScheduler.CONTINUE, TrialScheduler.STOP]
    assert list(queue.known_scores()) == [(0, 30, 5.0), (1, 30, 4.0)]
    outcome = Outcome.read(job.paths)
    assert outcome is not None
    assert (outcome.state, outcome.iteration) == ("pruned", 30)


def test_reruns_are_never_stopped_early(config: SweepConfig, paths: StudyPaths, registry: JobRegistry) -> None:
    job = job_maker(config, paths)(0, {"lambda2": 5.0})
    scheduler = EarlyStoppingScheduler(registry, None)
    assert suggested(RerunSearcher(registry, [job]), "a") == job
    assert scheduler.on_trial_result(None, ray_trial("a"), result_of(job, 30)) == TrialScheduler.CONTINUE


def test_retries_are_used_up_by_failures_without_a_new_score_in_between(searcher: JobSearcher, said: list[str]) -> None:
    registry = searcher.registry
    registry.retries = 1
    scheduler, states = EarlyStoppingScheduler(registry, None), []
    for life, iteration in enumerate((10, 20, 20, 20)):  # a score that comes again is no progress
        trial, job = ray_trial(f"t{life}"), suggested(searcher, f"t{life}")
        scheduler.on_trial_result(None, trial, result_of(job, iteration))
        scheduler.on_trial_error(None, trial)
        searcher.on_trial_complete(trial.trial_id, error=True)
        outcome = registry.outcome(trial.trial_id)
        states.append(None if outcome is None else outcome.state)
        if outcome is not None:
            break
    assert states == [None, None, "failed"]
    assert said == ["  trials/000: its worker died; it starts again from its checkpoint"] * 2


def test_start_score_and_end_are_told_once(callback: JobCallback, searcher: JobSearcher) -> None:
    job, trial = suggested(searcher, "a"), ray_trial("a")
    callback.on_trial_start(0, [], trial)
    callback.on_trial_start(0, [], trial)  # its worker died, and another took its place
    callback.on_trial_result(0, [], trial, {**result_of(job, 10), NOTES: "going on"})
    callback.on_trial_result(0, [], trial, {"done": True})
    complete(job).write(job.paths)
    searcher.on_trial_complete("a", {"done": True})
    callback.on_trial_complete(0, [], trial)
    assert told_by(callback).calls == [(what, job.name) for what in ("started", "scored 10", "complete")]
    if isinstance(callback, TableCallback):
        assert told_by(callback).lines == [f"  {job.name}: going on"]


def test_a_job_that_fails_before_it_starts_is_told_whole(callback: JobCallback, searcher: JobSearcher) -> None:
    job = suggested(searcher, "a")
    searcher.on_trial_complete("a", error=True)
    callback.on_trial_error(0, [], ray_trial("a"))
    assert told_by(callback).calls == [("started", job.name), ("failed", job.name)]


def test_of_a_job_that_has_not_ended_no_end_is_told(
    callback: JobCallback, searcher: JobSearcher, paths: StudyPaths
) -> None:
    job = suggested(searcher, "a")
    callback.on_trial_start(0, [], ray_trial("a"))
    paths.stop.touch()
    searcher.on_trial_complete("a", {"done": True})
    callback.on_trial_complete(0, [], ray_trial("a"))
    assert told_by(callback).calls == [("started", job.name)]


def test_a_full_disk_in_a_callback_stops_the_study(callback: JobCallback, searcher: JobSearcher) -> None:
    job = suggested(searcher, "a")
    told_by(callback).error = OSError(28, "No space left on device", str(job.paths.metrics))
    callback.on_trial_result(0, [], ray_trial("a"), result_of(job, 10))
    assert "No space left on device; free space" in searcher.registry.problem
    told_by(callback).error = ValueError("a bug")
    with pytest.raises(ValueError, match="a bug"):
        callback.on_trial_result(0, [], ray_trial("a"), result_of(job, 10))
