"""A run that was killed again and again ends with the weights of an unbroken one, bit for bit."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tsvan import checkpoint, schedules
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.data.published import published
from tsvan.data.store import ClipStore
from tsvan.registry import MODELS
from tsvan.trainer import Trainer

EVERY = 4
FORK = multiprocessing.get_context("fork")


@pytest.fixture(scope="module", params=MODELS)
def config(request: pytest.FixtureRequest, tiny_config: TrainConfig) -> TrainConfig:
    """Of TwoStreamVAN pre-training and every kind of joint step."""
    if request.param == "mocogan":
        small = {"ngf": 2, "ndf": 2, "content_dim": 4, "motion_dim": 3, "batch_size": 2, "iterations": 40, "seed": 3}
        return published("weizmann", "mocogan").with_settings(small)
    settings = {"iterations": 30, "pretrain_iterations": 10, "sequence_share_start": 0.5, "seed": 3}
    config = tiny_config.with_settings(settings)
    plan = schedules.step_plan(config.seed, config.schedule)
    assert set(np.unique(plan)) == {0, 1, 2}
    return config


def train(config: TrainConfig, store: ClipStore, folder: Path) -> None:
    trainer = Trainer.open(config, store, folder, "cpu")
    for until in range(EVERY, config.schedule.total + 1, EVERY):
        if until > trainer.iteration:
            for _ in trainer.run(until):
                pass
            trainer.save()


def die_in_save(moment: str, at: int, *job: Any) -> None:
    """Dies at the `at`-th checkpoint from here: with half of it written, before it gets its name, or just after."""
    real_save, real_publish, saves = torch.save, checkpoint.publish, 0

    def die(values: Any, stream: Any) -> None:
        nonlocal saves
        saves += 1
        real_save(values, stream)
        if saves == at and moment == "half":
            stream.truncate(stream.tell() // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def publish(file: Path, path: Path) -> None:
        if saves == at and moment == "unnamed":
            os.kill(os.getpid(), signal.SIGKILL)
        real_publish(file, path)
        if saves == at:
            os.kill(os.getpid(), signal.SIGKILL)

    torch.save, checkpoint.publish = die, publish
    train(*job)


def reached(folder: Path) -> int:
    files = list_checkpoints(folder / "checkpoints")
    return max((int(file.name.split(".")[0]) for file in files), default=0)


def flat(values: Any) -> list[Any]:
    """All tensors and numbers of a nested state, in order."""
    if isinstance(values, dict):
        return [item for key in values for item in [key, *flat(values[key])]]
    return [item for value in values for item in flat(value)] if isinstance(values, (list, tuple)) else [values]


def same(one: Any, other: Any) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else bool(one == other)


def die_and_go_on(config: TrainConfig, store: ClipStore, folder: Path) -> None:
    """Seven deaths, and then to the end. In a process of its own, as no process with threads may fork."""
    torch.set_num_threads(1)
    began = time.monotonic()
    train(config, store, folder / "whole")
    seconds = time.monotonic() - began
    job, chance, starts = (config, store, folder / "broken"), random.Random(11), []
    for moment in ["half", "random", "unnamed", "random", "named", "random", "random"]:
        starts.append(reached(job[2]))
        if moment == "random":
            process = FORK.Process(target=train, args=job)
            process.start()
            process.join(chance.uniform(0.05, seconds / 3))
            process.kill()
        else:
            process = FORK.Process(target=die_in_save, args=(moment, 2, *job))
            process.start()
        process.join(60)
        assert process.exitcode in (-signal.SIGKILL, 0)
    process = FORK.Process(target=train, args=job)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert starts[-1] > starts[1] > starts[0] == 0, starts


def test_killed_at_random_and_while_saving_it_ends_bit_for_bit_the_same(
    config: TrainConfig, weizmann_store: ClipStore, tmp_path: Path
) -> None:
    job = (config, weizmann_store, tmp_path)
    process = multiprocessing.get_context("spawn").Process(target=die_and_go_on, args=job)
    process.start()
    process.join()
    assert process.exitcode == 0
    whole, broken = (checkpoint.newest(tmp_path / name / "checkpoints") for name in ("whole", "broken"))
    assert whole is not None
    assert broken is not None
    assert whole.iteration == broken.iteration == config.schedule.total
    pairs = list(zip(flat(vars(whole)), flat(vars(broken)), strict=True))
    assert sum(isinstance(one, torch.Tensor) for one, _ in pairs) > 90
    assert all(same(one, other) for one, other in pairs)
    assert not list((tmp_path / "broken").rglob(".*.tmp"))
