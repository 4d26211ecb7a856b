"""Trials that users add: each instruction is one trial, next, on top of the sweep's own, whoever dies on the way."""

from __future__ import annotations

from typing import Any

import pytest

from sweeps.config.schema import SweepConfig
from sweeps.search import trial_queue
from sweeps.search.recorded_trials import trial_rows
from sweeps.search.storage import load_study, trial_numbers
from sweeps.search.trial_queue import SweepQueue
from sweeps.state.inbox import Inbox, Instruction
from sweeps.state.job import Job, read_job
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import open_queue

ASKED = {"lambda2": 4.25, "ngf": 32}


class Killed(BaseException):
    """The driver dies here."""


@pytest.fixture
def asked(config: SweepConfig, paths: StudyPaths) -> Instruction:
    """A study whose first trial runs, and a trial that was added meanwhile."""
    take(open_queue(config, paths))
    return Inbox(paths).ask("add", settings=ASKED)


def test_an_added_trial_runs_next_and_the_sampler_draws_the_rest(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    take(queue)
    asked = Inbox(paths).ask("add", settings=ASKED)
    job = take(queue)
    assert {name: job.params[name] for name in ASKED} == ASKED
    assert set(job.params) == set(config.space)
    assert job.instruction == asked.number
    assert _answer(paths, asked) == "trials/001"
    row = trial_rows(paths, config)[1]
    assert row["origin"] == "added by its user"


def test_added_trials_come_in_order_and_on_top_of_the_sweeps_own(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    for lambda2 in (3.5, 4.5):
        Inbox(paths).ask("add", settings={"lambda2": lambda2})
    assert queue.total == config.trials + 2
    jobs = _all(queue)
    assert len(jobs) == config.trials + 2
    assert [job.params["lambda2"] for job in jobs if job.instruction is not None] == [3.5, 4.5]
    assert queue.total == config.trials + 2


def test_a_trial_may_be_added_to_a_finished_sweep(config: SweepConfig, paths: StudyPaths) -> None:
    assert len(_all(open_queue(config, paths))) == config.trials
    Inbox(paths).ask("add", settings=ASKED)
    (job,) = _all(open_queue(config, paths))
    assert job.params["lambda2"] == ASKED["lambda2"]
    assert _all(open_queue(config, paths)) == []


@pytest.mark.parametrize("place", ["before Optuna is asked", "before the job is written", "before the answer"])
def test_an_addition_is_one_trial_wherever_the_driver_is_killed(
    config: SweepConfig, paths: StudyPaths, asked: Instruction, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        owner, name = {
            "before Optuna is asked": (trial_queue, "distributions"),
            "before the job is written": (Job, "write"),
            "before the answer": (Inbox, "answer"),
        }[place]
        queue = open_queue(config, paths)
        take(queue)  # what was unfinished
        patch.setattr(owner, name, _die)
        with pytest.raises(Killed):
            queue.next()
    jobs = _all(open_queue(config, paths))
    assert len([job for job in jobs if job.instruction == asked.number]) == 1
    assert len(trial_rows(paths, config)) == config.trials + 1
    assert _answer(paths, asked) == f"trials/{_place(paths, asked):03d}"


def test_an_addition_is_one_trial_though_the_database_is_lost(
    config: SweepConfig, paths: StudyPaths, asked: Instruction
) -> None:
    queue = open_queue(config, paths)
    take(queue)
    added = take(queue)
    paths.database.unlink()
    (paths.inbox / f"{asked.number:04d}.done.json").unlink()
    jobs = _all(open_queue(config, paths))
    assert [job.number for job in jobs if job.instruction == asked.number] == [added.number]
    assert len(trial_rows(paths, config)) == config.trials + 1


def test_the_published_row_is_still_the_first_trial(config: SweepConfig, paths: StudyPaths) -> None:
    Inbox(paths).ask("add", settings=ASKED)
    queue = open_queue(config, paths)
    first, second = take(queue), take(queue)
    assert first.instruction is None
    assert second.instruction == 1
    assert [trial.user_attrs.get("origin") for trial in load_study(paths).trials] == [first.origin, "added by its user"]


def _all(queue: SweepQueue) -> list[Job]:
    jobs = []
    while (job := queue.next()) is not None:
        finish(queue, job, "complete", 1.0)
        jobs.append(job)
    return jobs


def _answer(paths: StudyPaths, asked: Instruction) -> str:
    answer = Inbox(paths).answer_to(asked)
    return "" if answer is None else answer.text


def _place(paths: StudyPaths, asked: Instruction) -> int:
    jobs = {number: read_job(paths.trial(number)) for number in trial_numbers(paths)}
    return next(number for number, job in jobs.items() if job is not None and job.instruction == asked.number)


def _die(*arguments: Any, **named: Any) -> None:
    raise Killed
