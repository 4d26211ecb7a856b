"""A third model by CONTRIBUTING.md: one entry, one YAML, and everything that knows no model by name takes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sweeps.config.load import load
from sweeps.config.space import derived, describe, published_params, train_config
from sweeps.state.retention import size_bound
from tsvan import checkpoint
from tsvan.__main__ import main
from tsvan.cost import train_gflop
from tsvan.data.store import ClipStore
from tsvan.registry import MODELS, Entry
from tsvan.run_config import TrainConfig
from tsvan.sampling import generate
from tsvan.trainer import Trainer

YAML = """
model: toy
trials: 3
space: {noise: {low: 0, high: 0.5}, lr: {low: 0.01, high: 0.1, log: true}}
budget: {iterations: 1000, batch_size: 4}
"""


@pytest.fixture(autouse=True)
def _entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "toy", Entry("tests.toy_model:ToyConfig", "tests.toy_model:MODEL"))


def test_it_trains_goes_on_and_samples_by_the_command_line(
    weizmann_store: ClipStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["train", "--model", "toy", "--dataset", "weizmann", "--data", str(weizmann_store.path)]
    assert main([*command, "--iterations", "30", "--device", "cpu"]) == 0
    run = Path("runs/train-weizmann-toy")
    loaded = checkpoint.load(run)
    assert (loaded.config.model_name, loaded.iteration) == ("toy", 30)
    assert main(["sample", "--checkpoint", str(run), "--out", "samples", "--clips", "1", "--device", "cpu"]) == 0
    assert len(list(Path("samples").glob("*.mp4"))) == 10


def test_it_learns_and_a_resumed_run_is_the_unbroken_one(weizmann_store: ClipStore, tmp_path: Path) -> None:
    config = load("weizmann", file=_yaml(tmp_path), model="toy")[0].base
    whole = Trainer.open(config, weizmann_store, tmp_path / "whole", "cpu", log_every=1)
    errors = [record.values["picture/error"] for record in whole.run(40)]
    assert errors[-1] < errors[0] / 2
    for stop in (7, 40):
        broken = Trainer.open(config, weizmann_store, tmp_path / "broken", "cpu", lambda line: None)
        list(broken.run(stop))
        broken.save()
    state = broken.networks.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.networks.state_dict().items())
    (clips,) = generate(whole.networks, np.arange(3), np.array([0, 1, 2]))
    assert clips.shape == (3, 3, 10, 64, 64)


def test_a_study_draws_plans_and_describes_it(tmp_path: Path) -> None:
    config, _ = load("weizmann", "smoke", file=_yaml(tmp_path), model="toy")
    params, origin = published_params(config)
    assert (params, origin) == ({"noise": 0.1, "lr": 0.05}, "published values")
    train = train_config(config, {"noise": 0.3, "lr": 0.02}, seed=5)
    assert describe(train) == "noise=0.3"
    assert derived(train)["model_name"] == "toy"
    assert TrainConfig.from_dict(train.to_dict()) == train
    assert train_gflop(train) > 0
    assert size_bound(train, 10, 4, 2, 10, 1).networks > 10 * 3 * 64 * 64 * 4


def _yaml(folder: Path) -> Path:
    file = folder / "toy.yaml"
    file.write_text(YAML)
    return file
