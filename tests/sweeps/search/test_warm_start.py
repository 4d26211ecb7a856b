"""What a study takes over from earlier ones: observations where scores compare, else the best settings first."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from sweeps.config.schema import Prior, SweepConfig
from sweeps.report.plotted import read_trials
from sweeps.search.earlier_studies import EarlierStudy, read_earlier
from sweeps.search.recorded_trials import trial_rows
from sweeps.search.samplers import make_sampler
from sweeps.search.storage import load_study, open_study, trial_numbers
from sweeps.search.study_copy import StudyCopySampler
from sweeps.search.trial_queue import SweepQueue
from sweeps.search.warm_start import FIRST, OBSERVED, WarmStart, take_over
from sweeps.state.inbox import Inbox
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import job_maker, open_queue
from tsvan.files import write_atomically
from tsvan.validation import UserError

CLIPS, SCORER = "clips", "scorer"


@pytest.fixture
def earlier(tmp_path: Path, config: SweepConfig) -> StudyPaths:
    """A study of before: five complete trials, the later the better, and one that was stopped early."""
    paths = StudyPaths(tmp_path / "before")
    paths.root.mkdir()
    queue = open_queue(config, paths)
    for number in range(config.trials):
        finish(queue, take(queue), "pruned" if number == 2 else "complete", float(number))
    _write_record(paths, config)
    return paths


def test_comparable_trials_are_observations_of_the_sampler_and_nothing_else(
    config: SweepConfig, paths: StudyPaths, earlier: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[Any]] = []

    def watched(own: SweepConfig, number: int) -> optuna.samplers.BaseSampler:
        sampler = make_sampler(own, number)
        relative = sampler.sample_relative

        def sample_relative(study: optuna.Study, *rest: Any) -> dict[str, Any]:
            seen.append(study.get_trials(deepcopy=False))
            return relative(study, *rest)

        monkeypatch.setattr(sampler, "sample_relative", sample_relative)
        return sampler

    monkeypatch.setattr("sweeps.search.study_copy.make_sampler", watched)
    taken = _taken(config, paths, earlier)
    assert [study.unlike for study in taken.studies] == [""]
    queue = _queue(config, paths, taken)
    for _ in range(2):
        finish(queue, take(queue), "complete", 1.0)
    (known,) = seen  # the published row is not drawn
    observed = [trial for trial in known if OBSERVED in trial.user_attrs]
    assert sorted(trial.value for trial in observed) == [0.0, 1.0, 3.0, 4.0, 5.0]
    names = {f"trial {number} of {earlier.root}" for number in (0, 1, 3, 4, 5)}
    assert {trial.user_attrs[OBSERVED] for trial in observed} == names
    # None of them is the study's own, wherever its trials are counted.
    assert [row["number"] for row in trial_rows(paths, config)] == [0, 1]
    assert len(read_trials(paths, config).trials) == len(load_study(paths).trials) == len(trial_numbers(paths)) == 2
    assert queue.total == config.trials


def test_the_sampler_draws_by_what_it_is_shown(config: SweepConfig, paths: StudyPaths, earlier: StudyPaths) -> None:
    config = replace(config, sampler=replace(config.sampler, startup_trials=2))
    told, study = _taken(config, paths, earlier), open_study(paths, config)
    study.ask()
    (trial,) = study.get_trials()  # one trial, so that all draw with the same random numbers
    drawn = []
    for observed in ([], [], told.observations(config)):
        sampler = StudyCopySampler(config, observed)
        drawn.append(sampler.sample_relative(study, trial, sampler.infer_relative_search_space(study, trial)))
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


@pytest.mark.parametrize(
    ("change", "unlike"),
    [
        (lambda found: replace(found, store_hash="other"), "its clips are others"),
        (lambda found: replace(found, scorer_hash="other"), "its scorer is another"),
        (lambda found: replace(found, config=_longer(found.config)), "its budget is another"),
        (lambda found: replace(found, config=_fixed(found.config)), "it sweeps or fixes other settings"),
    ],
)
def test_the_best_settings_of_a_study_that_does_not_compare_are_tried_first(
    config: SweepConfig,
    paths: StudyPaths,
    earlier: StudyPaths,
    change: Callable[[EarlierStudy], EarlierStudy],
    unlike: str,
) -> None:
    found = change(read_earlier(earlier.root, config, paths))
    taken = take_over([found], config, CLIPS, SCORER, paths)
    assert [study.unlike for study in taken.studies] == [unlike]
    assert taken.observations(config) == []
    queue = _queue(config, paths, taken)
    jobs = [take(queue) for _ in range(1 + FIRST)]
    assert [job.params for job in jobs[1:]] == [trial.params for trial in found.trials[:FIRST]]
    assert [job.origin for job in jobs[1:]] == [f"trial {number} of {earlier.root}" for number in (5, 4, 3)]
    again = _queue(config, paths, WarmStart.read(paths))  # the driver was killed
    rest = []
    while (job := again.next()) is not None:
        rest.append(job)
        finish(again, job, "complete", 1.0)
    assert len(trial_numbers(paths)) == config.trials
    assert sum(job.origin.startswith("trial ") for job in rest) == FIRST


def test_a_setting_outside_of_the_new_space_is_drawn(
    config: SweepConfig, paths: StudyPaths, earlier: StudyPaths
) -> None:
    narrow = replace(config, space={**config.space, "lambda2": Prior(low=3, high=3.01)})
    taken = _taken(narrow, paths, earlier)
    assert taken.studies[0].trials == []  # same base and names, but no trial lies in the space
    found = replace(read_earlier(earlier.root, narrow, paths), store_hash="other")
    other = take_over([found], narrow, CLIPS, SCORER, paths)
    for _, params in other.firsts(narrow):
        assert "lambda2" not in params
        assert set(params) == set(config.space) - {"lambda2"}


def test_a_study_keeps_what_it_began_with_and_refuses_another(
    config: SweepConfig, paths: StudyPaths, earlier: StudyPaths
) -> None:
    taken = _taken(config, paths, earlier)
    take(_queue(config, paths, taken))
    assert take_over([], config, CLIPS, SCORER, paths) == taken
    same = read_earlier(earlier.root, config, paths)
    assert take_over([same], config, CLIPS, SCORER, paths) == taken
    with pytest.raises(UserError, match=r"has begun with --warm-start .*before"):
        take_over([replace(same, study_id="another")], config, CLIPS, SCORER, paths)


def test_what_is_no_study_to_begin_with_is_refused(
    config: SweepConfig, paths: StudyPaths, earlier: StudyPaths, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"no study there; give the folder of a study, as runs/weizmann"):
        read_earlier(tmp_path / "nowhere", config, paths)
    with pytest.raises(UserError, match="is the study itself"):
        read_earlier(earlier.root, config, earlier)
    foreign = replace(config, space={"lr": Prior(low=0.1, high=0.2)})
    with pytest.raises(UserError, match="nothing in common"):
        read_earlier(earlier.root, foreign, paths)
    for file in earlier.root.glob("trials/*/outcome.json"):
        file.unlink()
    with pytest.raises(UserError, match="has no complete trial yet"):
        read_earlier(earlier.root, config, paths)


def _taken(config: SweepConfig, paths: StudyPaths, earlier: StudyPaths) -> WarmStart:
    return take_over([read_earlier(earlier.root, config, paths)], config, CLIPS, SCORER, paths)


def _queue(config: SweepConfig, paths: StudyPaths, taken: WarmStart) -> SweepQueue:
    return SweepQueue(open_study(paths, config), config, job_maker(config, paths), Inbox(paths), taken)


def _write_record(paths: StudyPaths, config: SweepConfig) -> None:
    record = StudyRecord("s1", config.to_dict(), "store", CLIPS, "synthetic", str(paths.root))
    write_atomically(paths.config, json.dumps(vars(record)))  # JSON is YAML
    write_atomically(paths.scorer_result, json.dumps({"hash": SCORER}))


def _longer(config: SweepConfig) -> SweepConfig:
    return replace(config, budget=replace(config.budget, iterations=200))


def _fixed(config: SweepConfig) -> SweepConfig:
    return replace(config, fixed={**config.fixed, "lambda3": 1.0})
