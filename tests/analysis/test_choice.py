"""The chosen config, as the final stage reads it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.choice import choice_path, final_command, write_choice
from analysis.ranking import best_trial
from analysis.reading import Study
from sweeps.config.load import load
from sweeps.config.space import params_of
from sweeps.final.candidates import candidate_from_file
from tsvan.validation import UserError


def test_the_choice_is_what_the_final_stage_trains(study: Study, tmp_path: Path) -> None:
    best = best_trial(study)
    file = write_choice(tmp_path / "choice.yaml", study, best)
    candidate = candidate_from_file(study.config, file)
    assert params_of(study.config, candidate.config) == pytest.approx(best[study.parameters].to_dict())
    assert candidate.config.seed == 0
    assert f"trial {best['number']}" in file.read_text()


def test_the_choice_takes_the_budget_of_the_study_that_trains_it(study: Study, tmp_path: Path) -> None:
    file = write_choice(tmp_path / "choice.yaml", study, best_trial(study))
    smoke = load("weizmann", "smoke")[0]
    assert candidate_from_file(smoke, file).config.schedule == smoke.base.schedule


@pytest.mark.parametrize("number", [5, 13])
def test_a_trial_that_is_not_complete_is_refused(study: Study, tmp_path: Path, number: int) -> None:
    with pytest.raises(UserError, match="choose a complete one"):
        write_choice(tmp_path / "choice.yaml", study, study.trials.iloc[number])
    assert list(tmp_path.iterdir()) == []


def test_the_command_repeats_what_the_study_set(study: Study, tmp_path: Path) -> None:
    words = shlex.split(final_command(study, tmp_path / "choice.yaml"))
    assert words[:6] == ["python", "tune_runner.py", "--dataset", "weizmann", "--preset", "paper"]
    sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert sets == ["objective.metric=inception_score", "budget.iterations=1000"]
    assert words[words.index("--data-root") + 1] == study.record.store
    assert words[words.index("--out") + 1] == str(choice_path(study).parent / "made-final")
    assert "--tracking-uri" not in words


def test_the_command_leads_back_to_the_same_config(study: Study, tmp_path: Path) -> None:
    extra = ["fixed.kernel_layers=2", "space.lambda2={low: 4, high: 5}", "scoring.report_clips=64", "trials=3"]
    config = load("weizmann", "smoke", extra)[0]
    words = shlex.split(final_command(replace(study, config=config), tmp_path / "choice.yaml"))
    sets = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    assert replace(load("weizmann", "smoke", sets)[0], trials=3) == config


def test_stand_in_clips_are_asked_for_and_a_server_is_named(study: Study, tmp_path: Path) -> None:
    record = replace(study.record, data_source="synthetic")
    words = shlex.split(final_command(replace(study, record=record, uri="http://server:5000"), tmp_path / "c.yaml"))
    assert words[words.index("--data") + 1] == "synthetic"
    assert words[words.index("--tracking-uri") + 1] == "http://server:5000"
