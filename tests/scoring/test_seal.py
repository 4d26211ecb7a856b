from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tsvan.__main__ import main
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.scoring.config import quick
from tsvan.scoring.seal import choices_of, look, looks, num_choices, write_down
from tsvan.trainer import Trainer
from tsvan.validation import UserError


def entry(config: TrainConfig) -> dict[str, dict[str, str]]:
    return {"winner": {"hash": config.settings_hash}}


def test_a_config_that_was_not_written_down_is_refused_and_nothing_is_noted(
    tiny_config: TrainConfig, tmp_path: Path
) -> None:
    choices, ledger = tmp_path / "stages" / "choice.json", tmp_path / "looks.jsonl"
    with pytest.raises(UserError, match="'report' is sealed"):
        look(choices, tiny_config, ledger)
    write_down(choices, entry(tiny_config.with_settings({"lambda2": 4.5})))
    with pytest.raises(UserError, match=f"config {tiny_config.settings_hash[:8]} is not written down"):
        look(choices, tiny_config, ledger)
    assert looks(ledger) == 0
    assert not ledger.exists()


def test_every_look_is_counted_whatever_the_seed(tiny_config: TrainConfig, tmp_path: Path) -> None:
    choices, ledger = tmp_path / "choice.json", tmp_path / "run" / "looks.jsonl"
    write_down(choices, entry(tiny_config))
    assert look(choices, replace(tiny_config, seed=5), ledger) == 1
    assert look(choices, replace(tiny_config, seed=5), ledger) == 2
    line = json.loads(ledger.read_text().splitlines()[0])
    assert (line["hash"], line["seed"]) == (tiny_config.settings_hash, 5)


def test_a_choice_is_counted_once_until_another_is_made(tiny_config: TrainConfig, tmp_path: Path) -> None:
    choices, other = tmp_path / "choice.json", tiny_config.with_settings({"lambda2": 4.5})
    for config in (tiny_config, tiny_config, other):
        write_down(choices, entry(config))
    assert num_choices(choices) == 2


def test_a_run_finds_the_choices_of_its_study(tmp_path: Path) -> None:
    run = tmp_path / "study" / "trials" / "007"
    run.mkdir(parents=True)
    assert choices_of(run) is None
    (tmp_path / "study" / "study.yaml").touch()
    assert choices_of(run) == tmp_path / "study" / "stages" / "choice.json"


def test_scoring_a_checkpoint_of_a_study_is_refused_until_it_was_chosen(
    tiny_config: TrainConfig,
    weizmann_store: ClipStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = replace(quick("weizmann"), widths=(4, 8, 8, 16), iterations=4, eval_every=4)
    monkeypatch.setattr("tsvan.commands.score.quick", lambda dataset: scorer)
    run = tmp_path / "study" / "trials" / "007"
    train = Trainer.open(tiny_config, weizmann_store, run, "cpu")
    train.save()
    (tmp_path / "study" / "study.yaml").touch()
    command = ["score", "--checkpoint", str(run), "--group", "report", "--clips", "2", "--device", "cpu"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "error: the sample group 'report' is sealed" in error
    write_down(tmp_path / "study" / "stages" / "choice.json", entry(tiny_config))
    for number in (1, 2):
        assert main(command) == 0
        assert f"look {number} at the sealed group 'report' for this run" in capsys.readouterr().err
