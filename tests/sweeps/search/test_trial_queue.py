from __future__ import annotations

import json

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.search.seeds import derive_seed
from sweeps.search.storage import load_study, open_study
from sweeps.search.trial_queue import SweepQueue
from sweeps.state.job import SCORE, Job, Outcome, Point, pruned
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import open_queue, rows_of, rule_of, run_through
from tsvan.journal import Journal
from tsvan.validation import UserError


def test_the_published_row_comes_first_and_the_number_asked_for_is_delivered(
    config: SweepConfig, paths: StudyPaths
) -> None:
    queue = open_queue(config, paths)
    numbers = []
    while (job := queue.next()) is not None:
        numbers.append(job.number)
        finish(queue, job, "complete", float(job.number))
    assert numbers == list(range(6))
    study = load_study(paths)
    assert study.trials[0].user_attrs["origin"] == "table 3"
    assert study.trials[0].params["lambda2"] == 7.0
    assert study.best_trial.number == 5
    assert open_queue(config, paths).next() is None


def test_optuna_hears_the_state_the_step_and_the_reason(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    states = ("complete", "pruned", "diverged", "failed")
    for state in states:
        job = take(queue)
        queue.report(job, Point(job.score_at[0], {"inception_score": 9.0}))
        finish(queue, job, state, 1.0)
    trials = load_study(paths).trials
    found = [trial.state for trial in trials[:4]]
    assert found == [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL]
    assert [trial.user_attrs["state"] for trial in trials[:4]] == list(states)
    assert trials[2].user_attrs["reason"] == "why"
    assert trials[1].intermediate_values == {10: 9.0, 100: 1.0}
    # A score at a low budget, though higher, never stands among final ones.
    assert load_study(paths).best_trial.number == 0


def test_what_a_death_left_unfinished_comes_first_with_its_number_folder_and_settings(
    config: SweepConfig, paths: StudyPaths
) -> None:
    before = open_queue(config, paths)
    finish(before, take(before), "complete", 1.0)
    lost = [take(before), take(before)]
    after = open_queue(config, paths)
    again = [take(after), take(after)]
    assert [(job.name, job.config, job.folder) for job in again] == [(job.name, job.config, job.folder) for job in lost]
    assert take(after).number == 3


def test_an_outcome_that_optuna_never_heard_of_is_told(config: SweepConfig, paths: StudyPaths) -> None:
    before = open_queue(config, paths)
    job = take(before)
    Outcome("diverged", 30, {}, "content/encoder is nan").write(job.paths)
    after = open_queue(config, paths)
    assert take(after).number == 1
    trial = load_study(paths).trials[0]
    assert (trial.state, trial.user_attrs["reason"]) == (TrialState.FAIL, "content/encoder is nan")


def test_scores_that_a_dead_driver_did_not_hear_reach_optuna_with_the_outcome(
    config: SweepConfig, paths: StudyPaths
) -> None:
    job = open_queue(config, paths).next()
    assert job is not None
    journal = Journal(job.paths.metrics)
    for iteration in (10, 20, 30):
        journal.append(iteration, SCORE, {job.objectives[0]: iteration / 10})
    Outcome("complete", 20, {job.objectives[0]: 2.0}).write(job.paths)
    open_queue(config, paths)
    (trial,) = [trial for trial in load_study(paths).trials if trial.number == job.number]
    assert trial.state == TrialState.COMPLETE
    assert trial.intermediate_values == {10: 1.0, 20: 2.0}


def test_a_score_that_comes_again_is_passed_over(config: SweepConfig, paths: StudyPaths) -> None:
    first = open_queue(config, paths)
    job = take(first)
    for score in (1.0, 2.0):
        first.report(job, Point(10, {"inception_score": score}))
    second = open_queue(config, paths)
    again = take(second)
    for iteration in (10, 20):
        second.report(again, Point(iteration, {"inception_score": 3.0}))
    assert load_study(paths).trials[job.number].intermediate_values == {10: 1.0, 20: 3.0}


def test_no_score_makes_the_driver_read_all_trials(
    config: SweepConfig, paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = open_queue(config, paths)
    jobs = [take(queue) for _ in range(3)]
    monkeypatch.setattr(optuna.Study, "get_trials", lambda *_, **__: pytest.fail("all trials were read"))
    for job in jobs:
        queue.report(job, Point(10, {"inception_score": 1.0}))


def test_going_on_proposes_what_an_unbroken_study_would_have(config: SweepConfig, paths: StudyPaths) -> None:
    whole, broken = StudyPaths(paths.root / "whole"), StudyPaths(paths.root / "broken")
    assert run_through(config, whole) == run_through(config, broken, restart=True)


def test_a_rung_remembers_what_was_seen_before_a_death(config: SweepConfig, paths: StudyPaths) -> None:
    before = open_queue(config, paths)
    job = take(before)
    before.report(job, Point(30, {"inception_score": 5.0}))
    finish(before, job, "complete", 5.0)
    after = open_queue(config, paths)
    assert not rule_of(config, after).goes_on(take(after).number, 30, 4.0)


def test_a_point_that_comes_twice_is_reported_once(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    job = take(queue)
    for value in (5.0, 6.0):
        queue.report(job, Point(30, {"inception_score": value}))
    assert load_study(paths).trials[0].intermediate_values == {30: 5.0}


def test_parameters_cut_by_a_death_make_no_trial(config: SweepConfig, paths: StudyPaths) -> None:
    open_queue(config, paths)
    load_study(paths).ask()  # a WAITING row is taken, nothing drawn yet
    storage, study_id = rows_of(paths)
    storage.create_new_trial(study_id)  # a second one, without parameters
    queue = open_queue(config, paths)
    count = 0
    while (job := queue.next()) is not None:
        finish(queue, job, "complete", 1.0)
        count += 1
    assert count == config.trials
    rows = [trial for trial in load_study(paths).trials if "origin" in trial.user_attrs]
    assert [trial.user_attrs.get("state") for trial in rows] == [None, "complete"]  # the published row is drawn again


def stop_early(queue: SweepQueue, score: float) -> Job:
    job = take(queue)
    outcome = pruned(job, Point(30, {"inception_score": score})).write(job.paths)
    queue.finished(job, outcome)
    return job


def test_a_trial_that_is_stopped_early_is_pruned_with_the_score_it_was_stopped_at(
    config: SweepConfig, paths: StudyPaths
) -> None:
    queue = open_queue(config, paths)
    stopped = stop_early(queue, 4.0)
    trial = load_study(paths).trials[stopped.number]
    assert (trial.state, trial.intermediate_values) == (TrialState.PRUNED, {30: 4.0})
    assert list(open_queue(config, paths).known_scores()) == [(0, 30, 4.0)]


def test_a_driver_that_dies_before_it_stops_a_trial_judges_its_score_again(
    config: SweepConfig, paths: StudyPaths
) -> None:
    before = open_queue(config, paths)
    before.report(job := take(before), Point(30, {"inception_score": 5.0}))
    finish(before, job, "complete", 5.0)
    assert not rule_of(config, before).goes_on(take(before).number, 30, 4.0)  # and the driver dies
    after = open_queue(config, paths)
    again = take(after)
    assert again.number == 1
    assert not rule_of(config, after).goes_on(again.number, 30, 4.0)


def test_what_an_earlier_version_stopped_stays_stopped(config: SweepConfig, paths: StudyPaths) -> None:
    before = open_queue(config, paths)
    job = take(before)
    storage, study_id = rows_of(paths)
    trial_id = storage.get_trial_id_from_study_id_trial_number(study_id, job.number)
    storage.set_trial_user_attr(trial_id, "stopped_at", {"iteration": 30, "values": {"inception_score": 4.0}})
    assert take(open_queue(config, paths)).number == job.number + 1
    outcome = Outcome.read(job.paths)
    assert outcome is not None
    assert (outcome.state, outcome.iteration, outcome.values) == ("pruned", 30, {"inception_score": 4.0})
    assert load_study(paths).trials[job.number].state == TrialState.PRUNED


def test_more_trials_are_added_to_a_finished_study(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    while (job := queue.next()) is not None:
        finish(queue, job, "complete", 1.0)
    more = load("weizmann", "smoke", ["trials=8", "budget.iterations=100", "objective=inception_score"])[0]
    queue = open_queue(more, paths)
    assert (queue.total, queue.done) == (8, 6)
    assert take(queue).number == 6


def test_another_direction_is_refused(config: SweepConfig, paths: StudyPaths) -> None:
    open_study(paths, config)
    with pytest.raises(UserError, match="choose another --out"):
        open_study(paths, load("vox", "smoke", ["objective=kernel_distance"])[0])


def test_two_objectives_make_a_front(paths: StudyPaths) -> None:
    both = ["objective=inception_score", "second_objective=kernel_distance", "scheduler.kind=none"]
    config = load("weizmann", "smoke", [*both, "trials=3"])[0]
    queue = open_queue(config, paths)
    for first, second in ((1.0, 5.0), (2.0, 6.0), (0.5, 7.0)):
        job = take(queue)
        queue.report(job, Point(3, {"inception_score": first, "kernel_distance": second}))
        outcome = Outcome("complete", 10, {"inception_score": first, "kernel_distance": second})
        outcome.write(job.paths)
        queue.finished(job, outcome)
    assert {trial.number for trial in load_study(paths).best_trials} == {0, 1}


def test_seeds_are_the_same_everywhere_and_differ_by_purpose() -> None:
    assert derive_seed(0, "trial", 3) == derive_seed(0, "trial", 3)
    seeds = {derive_seed(seed, kind, n) for seed in range(3) for kind in ("trial", "report") for n in range(9)}
    assert len(seeds) == 54
    assert max(seeds) < 2**31


def test_a_job_survives_its_file(config: SweepConfig, paths: StudyPaths) -> None:
    job = take(open_queue(config, paths))
    assert Job.from_dict(json.loads(job.paths.job.read_text())) == job
