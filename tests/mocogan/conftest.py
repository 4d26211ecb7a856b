"""A tiny run of MoCoGAN."""

from __future__ import annotations

import pytest
import torch

from tsvan.data.published import published
from tsvan.mocogan.networks import MocoganNetworks
from tsvan.run_config import TrainConfig


@pytest.fixture(scope="session")
def rival_config() -> TrainConfig:
    """A run of seconds."""
    small = {"ngf": 2, "ndf": 2, "content_dim": 4, "motion_dim": 3, "iterations": 8, "batch_size": 3}
    return published("weizmann", "mocogan").with_settings(small)


@pytest.fixture
def rival_networks(rival_config: TrainConfig) -> MocoganNetworks:
    """At three classes, in training mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MocoganNetworks(rival_config.model, 3)
