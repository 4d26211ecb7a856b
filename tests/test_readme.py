"""Every command that the README shows is run as it stands, with arguments behind it that make it small."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SMALL = {
    "tune_runner.py --dataset weizmann --data-root data/weizmann --dry-run": "",
    "tune_runner.py --dataset weizmann --data-root data/weizmann": "--dry-run",
    "tune_runner.py --dataset weizmann --data-root data/weizmann --final-from choice.yaml": "--dry-run",
    "-m tsvan data inspect data/my-videos --write my.yaml": "",
    "-m tsvan data prepare --dataset my.yaml --source data/my-videos --out stores/my": "",
    "tune_runner.py --dataset my.yaml --data-root stores/my --preset smoke": "--dry-run",
    "-m tsvan data draw --dataset weizmann --out stores/weizmann": "",
    "-m tsvan data show --store stores/weizmann --out sheet.png": "",
    "-m tsvan train --dataset weizmann --data stores/weizmann --iterations 200": (
        "--iterations 4 --set batch_size=2 --set architecture=tiny --set ngf=4 --set content_dim=8"
    ),
    "-m tsvan sample --checkpoint runs/train-weizmann --out samples": "--clips 1",
    "-m tsvan score --checkpoint runs/train-weizmann --json score.json": "--clips 4",
}
ELSEWHERE = {
    "make demo",  # what the smoke study of the tests runs
    "mlflow ui --backend-store-uri sqlite:///runs/mlflow.db",  # a server that stays
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
    (folder / "choice.yaml").write_text("lambda2: 5.0\nngf: 16\n")
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


def test_the_demo_is_the_smoke_study(smoke_study: Path) -> None:
    recipe = (ROOT / "Makefile").read_text()
    assert "tune_runner.py --dataset weizmann --preset smoke" in recipe
    said = (smoke_study / "terminal.txt").read_text()
    assert "best config:" in said
    assert "final score:" in said
    assert "mlflow ui --backend-store-uri sqlite:///" in said
