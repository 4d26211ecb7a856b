"""The paper's run for a dataset, or the one that a user's own dataset starts from."""

from __future__ import annotations

from dataclasses import replace

from tsvan.config import TrainConfig
from tsvan.data.datasets import DatasetRules, rules


def published(dataset: str | DatasetRules) -> TrainConfig:
    """The paper's run for a dataset: table 3, and section A for the budget and pre-training.

    Args:
        dataset: its name, its YAML's path, or its rules; for a user's own dataset, the row that it starts from.

    Raises:
        UserError: unknown dataset.
    """
    found = rules(dataset)
    row, base = found.row, TrainConfig()
    return replace(
        base,
        dataset=found.name,
        model=replace(base.model, ngf=row.ngf, content_dim=row.content_dim),
        loss=replace(
            base.loss,
            lambda2=row.lambda2,
            lambda5_lower=row.lambda5_lower,
            lambda5_upper=row.lambda5_upper,
            prior_share=row.prior_share,
        ),
        schedule=replace(base.schedule, pretrain_iterations=row.pretrain_iterations),
    )
