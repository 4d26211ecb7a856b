"""A logged run is trained again in this process."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
import torch

from sweeps.commands import reproduce
from sweeps.commands.arguments import reproduce_parser
from sweeps.state.job import Job, Outcome
from sweeps.state.paths import TrialPaths
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.validation import UserError


@pytest.fixture
def logged(
    tmp_path: Path, tiny_config: TrainConfig, weizmann_store: ClipStore, monkeypatch: pytest.MonkeyPatch
) -> Job:
    """A run that was trained on a GPU, as MLflow has it; this machine has none."""
    job = Job(
        name="trials/003",
        number=3,
        folder=str(tmp_path / "elsewhere"),
        config=tiny_config.to_dict(),
        store=str(weizmann_store.path),
        store_hash=weizmann_store.content_hash,
        scorer="",
        scorer_config={},
        group="validation",
        num_clips=8,
        save_at=(4, 8, 16),
        score_at=(),
        objectives=("inception_score",),
        device="cuda",
    )
    monkeypatch.setattr(reproduce, "_logged", lambda *_: (job, {"dataset": "weizmann", "study": "a study"}))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    return job


def run(tmp_path: Path, *arguments: str) -> int:
    return reproduce.reproduce(reproduce_parser().parse_args(["abc", "--out", str(tmp_path / "again"), *arguments]))


def test_a_gpus_run_is_trained_on_the_cpu_where_there_is_no_gpu_and_no_handler_stays(
    logged: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    assert run(tmp_path) == 0
    outcome = Outcome.read(TrialPaths(tmp_path / "again"))
    assert outcome is not None
    assert (outcome.state, outcome.iteration, outcome.details["device"]) == ("complete", 16, "cpu")
    assert "trained on cuda, which is not here" in capsys.readouterr().err
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_device_that_was_asked_for_and_is_not_here_is_refused_before_anything_is_written(
    logged: Job, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="cuda"):
        run(tmp_path, "--device", "cuda")
    assert not (tmp_path / "again").exists()
