"""`python -m tsvan`: what a user types, and what a user gets wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tsvan.__main__ import main
from tsvan.checkpoint import load
from tsvan.checkpoint_files import list_checkpoints
from tsvan.data.store import ClipStore

TINY = ["architecture=tiny", "ngf=4", "content_dim=8", "batch_size=2"]


def arguments(store: ClipStore, out: Path, *more: str) -> list[str]:
    tiny = [word for pair in TINY for word in ("--set", pair)]
    return ["train", "--dataset", "weizmann", "--data", str(store.path), "--out", str(out), *tiny, *more]


def test_train_writes_metrics_and_checkpoints_and_the_same_command_has_nothing_to_do(
    weizmann_store: ClipStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = arguments(weizmann_store, tmp_path / "run", "--iterations", "4", "--device", "cpu")
    assert main(command) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["iteration"] == 4
    before = [path.stat().st_mtime_ns for path in list_checkpoints(tmp_path / "run" / "checkpoints")]
    assert main(command) == 0
    assert before == [path.stat().st_mtime_ns for path in list_checkpoints(tmp_path / "run" / "checkpoints")]
    assert "going on from iteration 4" in capsys.readouterr().err


def test_a_partial_config_keeps_the_published_rest(weizmann_store: ClipStore, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump({"loss": {"lambda2": 5.5}}))
    assert main(arguments(weizmann_store, tmp_path / "run", "--config", str(config), "--iterations", "3")) == 0
    loss = load(tmp_path / "run").config.loss
    assert (loss.lambda2, loss.lambda5_lower, loss.lambda5_upper) == (5.5, 2.0, 20.0)


def test_an_interrupted_run_is_saved_between_two_iterations_and_goes_on(
    weizmann_store: ClipStore, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "tsvan", *arguments(weizmann_store, tmp_path / "run", "--iterations", "500")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "run" / "metrics.jsonl").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "the same command goes on" in said
    assert "Traceback" not in said
    saved = load(tmp_path / "run")
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["iteration"] == saved.iteration < 500


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["train", "--dataset", "voxx", "--data", "x"], "unknown dataset 'voxx'; did you mean 'vox'?"),
        (["train", "--dataset", "vox", "--data", "/nowhere"], "/nowhere"),
        (["train", "--dataset", "vox", "--data", "x", "--set", "lambda2"], "--set: expected KEY=VALUE, got 'lambda2'"),
        (["train", "--dataset", "vox", "--data", "x", "--set", "lamda2=5"], "did you mean 'lambda2'?"),
        (["train", "--dataset", "vox", "--data", "x", "--iterations", "2"], "iterations: schedule.iterations"),
        (["train", "--dataset", "vox", "--data", "x", "--config", "/nowhere.yaml"], "cannot read /nowhere.yaml"),
        (["train", "--dataset", "vox", "--data", "x", "--device", "tpu"], "--device: unknown device 'tpu'"),
        (["sample", "--checkpoint", "/nowhere.pt", "--out", "x"], "no checkpoint at /nowhere.pt"),
        (["score", "--checkpoint", "/nowhere.pt"], "no checkpoint at /nowhere.pt"),
        (["score", "--checkpoint", "/nowhere.pt", "--clips", "1"], "--clips must be 2 or more, got 1"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    command: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert message in said
    assert list(tmp_path.iterdir()) == []
