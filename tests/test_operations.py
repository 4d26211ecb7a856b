"""No work twice: the operations of a step, against those that the authors' release spends (GFLOP at batch 16)."""

import pytest
import torch

from benchmarks import train_step
from tsvan.config import ModelConfig
from tsvan.models.networks import Networks

# Release's operations at ngf 16, content_dim 512, ten classes, and the share of them that is allowed.
RELEASE = {
    ("content", None): (14.6, 0.85),
    ("one-step", None): (134.6, 0.58),
    ("sequence", 1.0): (1195.0, 0.68),
    ("sequence", 0.0): (1338.0, 0.76),
}


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.manual_seed(0)
    return Networks(ModelConfig(architecture="release"), train_step.CLASSES).train()


@pytest.mark.parametrize(("step", "epsilon"), RELEASE)
def test_operations(step, epsilon, networks):
    run = train_step._runner(networks, step, epsilon, "fp32", reference=False)
    spent = train_step.count_gflop(run, torch.device("cpu")) * 16 / train_step.COUNTED_BATCH
    release, share = RELEASE[step, epsilon]
    assert spent <= share * release
