"""What several tests share: a tiny run's parts, and where real video lies when it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tsvan.config import ModelConfig, TrainConfig
from tsvan.data.published import published
from tsvan.data.standin import drawing
from tsvan.data.store import ClipStore
from tsvan.models.networks import Networks

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("TSVAN_SHARED_DATA", ROOT.parent / "shared" / "data"))

torch.set_num_threads(1)  # tests are small, and several threads each are slower on a busy machine


@pytest.fixture(scope="module", autouse=True)
def own_tracking_store() -> Iterator[None]:
    """MLflow and Ray put the store of one test into the environment, where all later tests would find it."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    yield
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real video; without it the test is skipped."""
    if not SHARED.is_dir():
        pytest.skip(f"no real video at {SHARED}; set TSVAN_SHARED_DATA to its folder")
    return SHARED


@pytest.fixture(scope="session")
def tiny_model() -> ModelConfig:
    return ModelConfig(architecture="tiny", ngf=2, content_dim=8, motion_dim=4)


@pytest.fixture
def tiny_networks(tiny_model: ModelConfig) -> Networks:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Networks(tiny_model, 3)


@pytest.fixture(scope="session")
def tiny_config() -> TrainConfig:
    """A run of seconds: 4 iterations of pre-training, 12 of the joint phase."""
    return published("weizmann").with_settings(
        {
            "architecture": "tiny",
            "ngf": 2,
            "content_dim": 8,
            "motion_dim": 4,
            "iterations": 12,
            "pretrain_iterations": 4,
            "batch_size": 2,
        }
    )


@pytest.fixture(scope="session")
def weizmann_store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    """Stand-in clips of all ten actions."""
    return drawing.draw("weizmann", tmp_path_factory.mktemp("stores") / "weizmann", size="small")


@pytest.fixture(scope="session")
def smoke_study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished smoke study on stand-in video: what `make demo` makes, with the noise between seeds
    measured and a confirm stage. One serves all tests."""
    folder = tmp_path_factory.mktemp("runs") / "smoke"
    command = [sys.executable, "tune_runner.py", "--dataset", "weizmann", "--preset", "smoke", "--out", str(folder)]
    command += ["--calibrate", "2", "--set", "final.report.seeds=2", "--set", "final.confirm={top_k: 2, seeds: 1}"]
    command += ["--set", "scheduler.rungs=[0.8]"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count() or 1)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    (folder / "terminal.txt").write_text(done.stdout + done.stderr)
    return folder
