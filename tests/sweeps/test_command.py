"""Wrong use of tune_runner.py: one line, exit code 2, nothing written; and the dry run."""

from __future__ import annotations

from pathlib import Path

import pytest

import tune_runner

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"

WRONG = {
    "unknown dataset": (["--dataset", "vocks"], "unknown dataset 'vocks'"),
    "unknown preset": (["--dataset", "vox", "--preset", "big"], "unknown preset 'big'"),
    "no data": (["--dataset", "mug", "--set", "budget.iterations=30"], "--data synthetic"),
    "missing data root": (["--dataset", "vox", "--preset", "smoke", "--data-root", "nowhere"], "nowhere"),
    "both kinds of data": (
        ["--dataset", "vox", "--preset", "smoke", "--data", "synthetic", "--data-root", "x"],
        "leave one out",
    ),
    "misspelt key": (["--dataset", "vox", "--set", "budgets.iterations=3"], "did you mean 'budget'?"),
    "low above high": (
        ["--dataset", "vox", "--set", "space.lambda2.low=9"],
        "lambda2.low must be <= lambda2.high, got low=9, high=8",
    ),
    "wrong type": (["--dataset", "vox", "--trials", "few"], "trials: input should be a valid integer, got 'few'"),
    "nothing to resume": (["--dataset", "vox", "--preset", "smoke", "--resume"], "nothing to resume"),
    "paper on a CPU": (["--dataset", "weizmann", "--data", "synthetic"], "--allow-slow"),
    "no chosen config": (
        ["--dataset", "vox", "--preset", "smoke", "--final-from", "none.yaml"],
        "cannot read none.yaml",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_one_line_and_leaves_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = WRONG[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert tune_runner.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not SHARED.exists(), reason="needs the shared clips")
def test_a_folder_of_bad_files_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--dataset", "weizmann", "--preset", "smoke", "--data-root", str(SHARED / "bad")]
    assert tune_runner.main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_tells_the_plan_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tune_runner.main(["--dataset", "mug", "--dry-run"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "32 trials x 500,000 iterations" in shown
    assert "MISSING" in shown
    assert "asha at 150,000, 400,000" in shown
    assert list(tmp_path.iterdir()) == []


def test_reproduce_without_a_store_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tune_runner.main(["reproduce", "abc"]) == 2
    assert list(tmp_path.iterdir()) == []
