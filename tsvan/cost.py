"""How much work a training run is, from counted operations: for estimates, and to say which config is cheaper."""

from __future__ import annotations

from tsvan.interface import implementation
from tsvan.run_config import TrainConfig


def train_gflop(config: TrainConfig) -> float:
    """Estimate the GFLOP of a whole training run, pre-training included."""
    return implementation(config.model_name).gflop(config)
