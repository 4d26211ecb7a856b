"""Wrong use of tune_runner.py: one line, exit code 2, nothing written; and the dry run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

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
    "unknown option": (["--dataset", "vox", "--presets", "smoke"], "unrecognized arguments: --presets smoke"),
    "no dataset": ([], "required: --dataset; see tune_runner.py --help"),
    "dataset in a set": (["--dataset", "vox", "--set", "dataset=mug"], "--set dataset=mug: use --dataset"),
    "tracking store of files": (
        ["--dataset", "vox", "--preset", "smoke", "--tracking-uri", "file:///x"],
        "tracking URI 'file:///x' names no MLflow server or database",
    ),
    "tracking nowhere": (["--dataset", "vox", "--preset", "smoke", "--tracking-uri", "foo"], "tracking URI 'foo'"),
    "more GPUs than there are": (
        ["--dataset", "vox", "--preset", "smoke", "--gpus-per-trial", "1"],
        "gpus_per_trial is 1, but this machine has 0 GPU(s)",
    ),
    "no cluster": (["--dataset", "vox", "--preset", "smoke", "--address", "127.0.0.1:9"], "no Ray cluster at"),
    "one seed to calibrate": (
        ["--dataset", "vox", "--calibrate", "1"],
        "calibrate.seeds must be 0 or 2 and more, got 1",
    ),
    "out below a file": (["--dataset", "vox", "--preset", "smoke", "--out", f"{__file__}/x"], "is a file"),
    "out is a file": (["--dataset", "vox", "--preset", "smoke", "--out", __file__], "is a file"),
    "out is too long": (["--dataset", "vox", "--preset", "smoke", "--out", "x" * 300], "choose another --out"),
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
    assert tune_runner.main(["--dataset", "mug", "--dry-run", "--calibrate", "5"]) == 2  # as the run would
    said = capsys.readouterr()
    shown = " ".join(said.out.split())
    assert "error: no mug data: looked at data/mug" in said.err
    assert "no GPU here" in said.err or torch.cuda.is_available()
    assert f"5 report {tmp_path}/runs/mug/report.html" in shown
    assert "every 50,000 iterations, 1,024 clips" in shown
    assert "by counted operations, not measured" in shown or torch.cuda.is_available()
    assert "32 trials x 500,000 iterations" in shown
    assert "MISSING" in shown
    assert "asha at 150,000, 400,000" in shown
    assert "disk at most " in shown
    assert "calibrate 5 seeds of the published row" in shown
    assert "62 ended runs x 0.64 GiB (networks alone)" in shown
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_reproduce_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tune_runner.main(["--help"])
    shown = capsys.readouterr().out
    words = ("reproduce RUN_ID", "status --out DIR", "--preset smoke", "exit codes: 0 done", "130")
    assert all(text in shown for text in words)


def test_a_wrong_name_is_told_without_torch(tmp_path: Path) -> None:
    code = "import sys, tune_runner; tune_runner.main(['--dataset', 'vocks']); print('torch' in sys.modules)"
    root = Path(tune_runner.__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_dry_run_with_a_chosen_config_plans_no_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    chosen = tmp_path / "chosen.yaml"
    chosen.write_text("lambda2: 4\n")
    arguments = ["--dataset", "vox", "--preset", "smoke", "--dry-run", "--final-from", str(chosen)]
    assert tune_runner.main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"skipped: the config is from {chosen}" in shown
    assert "of sweep" not in shown
    assert "1 seed for the winner" in shown


def test_a_dry_run_tells_of_names_that_are_another_datasets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "no_such_thing.avi").touch()
    assert tune_runner.main(["--dataset", "weizmann", "--data-root", "data", "--dry-run"]) == 2
    assert "MISSING" in capsys.readouterr().out


def test_a_study_record_that_is_none_of_ours_is_wrong_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text("config: 3\n")
    assert tune_runner.main(["--dataset", "vox", "--preset", "smoke", "--out", str(tmp_path)]) == 2
    assert "is not a study of this program" in capsys.readouterr().err


def test_a_signal_while_clips_are_made_is_an_interrupt_that_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def draw(dataset: str, target: Path, **_: object) -> None:
        (target.parent / "half").mkdir()
        (target.parent / "half").rmdir()
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("sweeps.data.draw", draw)
    before = signal.getsignal(signal.SIGTERM)
    assert tune_runner.main(["--dataset", "vox", "--preset", "smoke"]) == 130
    assert "Go on with:" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGTERM) == before
    assert list(tmp_path.iterdir()) == []


def test_reproduce_without_a_store_is_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert tune_runner.main(["reproduce", "abc"]) == 2
    assert list(tmp_path.iterdir()) == []
