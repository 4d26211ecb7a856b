from __future__ import annotations

from pathlib import Path

import pytest

import tune_runner
from sweeps.commands.settings import markdown, setting_rows
from tsvan.data.datasets import DATASETS
from tsvan.registry import MODELS
from tsvan.settings import settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_has_a_type_a_published_value_and_a_meaning(model: str) -> None:
    rows = setting_rows(model, DATASETS)
    assert all(all(row) for row in rows)
    assert {row[0] for row in rows} >= {"lr", "batch_size", "ngf"}
    assert not {"dataset", "seed", "iterations"} & {row[0] for row in rows}


@pytest.mark.parametrize("model", MODELS)
def test_the_page_in_the_documents_is_what_the_command_prints(model: str) -> None:
    table = "\n".join(markdown(setting_rows(model, DATASETS)))
    assert f"\n{table}\n" in PAGE.read_text(), (
        f"write it anew: python tune_runner.py settings --model {model} --markdown"
    )


def test_types_and_bounds_are_those_that_a_config_is_checked_by() -> None:
    known = settings("twostreamvan")
    words = {name: known[name].type_words for name in ("lr", "beta1", "ngf", "mask", "init", "lambda_img")}
    assert words == {
        "lr": "number > 0",
        "beta1": "number >= 0, < 1",
        "ngf": "whole number >= 1, <= 1024",
        "mask": "true or false",
        "init": "paper or release",
        "lambda_img": "number >= 0",
    }
    assert known["kernel_init"].meaning.endswith("a departure from which short runs learn motion sooner.")
    assert "multiple of lambda5_lower" in known["lambda5_ratio"].meaning


def test_a_dataset_shows_its_own_published_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert tune_runner.main(["settings", "--dataset", "synaction"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.split()[0] == "content_dim" and " 1024 " in line for line in lines)
    assert tune_runner.main(["settings"]) == 0
    assert "512 (weizmann, mug, vox), 1024 (synaction)" in capsys.readouterr().out
    assert tune_runner.main(["settings", "--dataset", "synactoin"]) == 2
    assert "did you mean 'synaction'?" in capsys.readouterr().err
