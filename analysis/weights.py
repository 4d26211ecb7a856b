"""How many weights a config's networks have: counted on PyTorch's meta device, where nothing is allocated."""

from __future__ import annotations

from functools import cache

from tsvan.config import ModelConfig


@cache
def count_weights(model: ModelConfig, num_classes: int) -> int:
    """Count the weights of all networks of a run, discriminators included.

    Training holds them three times over with Adam.

    Args:
        model: shapes; equal ones are counted once.
        num_classes: K.
    """
    import torch

    from tsvan.models.networks import Networks

    with torch.device("meta"):
        networks = Networks(model, num_classes)
    return sum(weight.numel() for weight in networks.parameters())
