"""The published run of a model for a dataset, or the one that a user's own dataset starts from."""

from __future__ import annotations

from dataclasses import asdict

from tsvan.data.datasets import DatasetRules, rules
from tsvan.registry import config_class
from tsvan.run_config import FIRST_MODEL, TrainConfig


def published(dataset: str | DatasetRules, model: str = FIRST_MODEL) -> TrainConfig:
    """Build the published run of a model for a dataset.

    Args:
        dataset: its name, its YAML's path, or its rules; for a user's own dataset, the row that it starts from.
        model: name of the model.

    Raises:
        UserError: unknown dataset or model.
    """
    found = rules(dataset)
    config: TrainConfig = config_class(model).published(found.name, asdict(found.row))
    return config
