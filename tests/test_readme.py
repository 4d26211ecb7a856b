"""Every command that the README shows is run as it stands, with arguments behind it that make it small."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sweeps.config.load import load

ROOT = Path(__file__).resolve().parents[1]

SMALL = {
    "tune_runner.py --dataset weizmann --data-root data/weizmann --dry-run": "--allow-slow --preset demo",
    "tune_runner.py --dataset weizmann --data-root data/weizmann": "--dry-run --preset demo",
    "tune_runner.py --dataset weizmann --data-root data/weizmann --final-from runs/weizmann-choice.yaml": (
        "--dry-run --preset demo"
    ),
    "-m tsvan data inspect data/my-videos --write data/my.yaml": "",
    "-m tsvan data prepare --dataset data/my.yaml --source data/my-videos --out runs/stores/my": "",
    "tune_runner.py --dataset data/my.yaml --data-root runs/stores/my --preset smoke": "--dry-run",
    "-m tsvan data draw --dataset weizmann --out runs/stores/weizmann": "",
    "-m tsvan data show --store runs/stores/weizmann --out runs/sheet.png": "",
    "-m tsvan train --dataset weizmann --data runs/stores/weizmann --iterations 200": (
        "--iterations 4 --set batch_size=2 --set architecture=tiny --set ngf=4 --set content_dim=8"
    ),
    "-m tsvan sample --checkpoint runs/train-weizmann --out runs/samples": "--clips 1",
    "-m tsvan score --checkpoint runs/train-weizmann --json runs/score.json": "--clips 4",
}
ELSEWHERE = {
    "make demo",  # what the smoke study of the tests runs
    "mlflow ui --backend-store-uri sqlite:///runs/mlflow.db --workers 1",  # a server that stays
}


def shown() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A folder as a user would have it: the project's command, raw videos, a chosen config."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "tune_runner.py").symlink_to(ROOT / "tune_runner.py")
    (folder / "data").mkdir()
    (folder / "data" / "weizmann").symlink_to(shared_data / "weizmann")
    for clip in sorted((shared_data / "weizmann").glob("*_wave*.avi")):
        by_class = folder / "data" / "my-videos" / clip.stem.split("_")[1]
        by_class.mkdir(parents=True, exist_ok=True)
        (by_class / clip.name).symlink_to(clip)
    (folder / "runs").mkdir()
    (folder / "runs" / "weizmann-choice.yaml").write_text("lambda2: 5.0\nngf: 16\n")
    return folder


def test_every_command_is_known() -> None:
    commands = {line.removeprefix("python ") for line in shown()}
    assert commands == set(SMALL) | ELSEWHERE


@pytest.mark.parametrize("command", SMALL)
def test_command(command: str, place: Path) -> None:
    arguments = [sys.executable, *shlex.split(command), *shlex.split(SMALL[command])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=place, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_commands_write_is_ignored_by_git() -> None:
    places = ["data/weizmann", "runs/stores/weizmann", "runs/sheet.png", "runs/samples", "runs/score.json", "runs/demo"]
    asked = [*places, *(word for line in shown() for word in line.split() if word.startswith("runs/"))]
    found = subprocess.run(["git", "check-ignore", *asked], cwd=ROOT, capture_output=True, text=True)
    assert found.stdout.split() == asked


def test_the_demo_shows_a_study_in_which_something_is_compared(smoke_study: Path) -> None:
    assert "tune_runner.py --dataset weizmann --preset demo --out runs/demo" in (ROOT / "Makefile").read_text()
    config = load("weizmann", "demo")[0]
    assert config.trials >= 8
    assert config.scheduler.kind != "none"
    assert config.calibrate.seeds >= 2
    assert config.final.report.seeds >= 3
    said = (smoke_study / "terminal.txt").read_text()
    assert "best config:" in said
    assert "final score:" in said
    assert "mlflow ui --backend-store-uri sqlite:///" in said
