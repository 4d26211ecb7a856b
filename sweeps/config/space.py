"""Sweep config -> Optuna space -> training settings."""

from __future__ import annotations

import itertools
import math
from typing import Any

from optuna.distributions import BaseDistribution

from sweeps.config import priors
from sweeps.config.schema import SweepConfig
from tsvan.run_config import TrainConfig
from tsvan.validation import UserError

NEAREST = "{}, nearest in the space"
"""Origin of the first trial where the space does not hold the published row."""
OF_OWN_DATASET = "values to start from"
"""Name of the row that a study of a dataset of one's own begins with: no paper has published it."""


def distributions(config: SweepConfig) -> dict[str, BaseDistribution]:
    """Return the space as Optuna knows it, in the YAML's order."""
    return {name: priors.distribution(prior) for name, prior in config.space.items()}


def train_config(config: SweepConfig, params: dict[str, Any], seed: int) -> TrainConfig:
    """Build a trial's full settings: the study's base, changed by what was drawn.

    Args:
        config: the study.
        params: setting or stand-in -> value.
        seed: of the training run.

    Raises:
        UserError: a value that the trainer refuses.
    """
    return config.base.with_params({**params, "seed": seed}, "the search space")


def derived(train: TrainConfig) -> dict[str, Any]:
    """Return all that is set, by plain name, and what follows from it: what a trial logs as parameters."""
    values: dict[str, Any] = {}
    for key, value in train.to_dict().items():
        values.update(value if isinstance(value, dict) else {key: value})
    return {**values, **train.derived}


def describe(train: TrainConfig) -> str:
    """Say a config in a few characters."""
    return train.summary


def published_params(config: SweepConfig) -> tuple[dict[str, Any], str]:
    """Return the published row as a point of the space: the first trial.

    Returns:
        The parameters, and the row's name, or NEAREST where the study's (narrowed) space does not hold the row.
    """
    name_of_row, row = row_name(config), derived(config.published)
    params = {name: priors.nearest(prior, row[name]) for name, prior in config.space.items()}
    exact = all(math.isclose(_number(params[name]), _number(row[name])) for name in params)
    return params, name_of_row if exact else NEAREST.format(name_of_row)


def row_name(config: SweepConfig) -> str:
    """Name the row that the study begins with, as tables and figures call it."""
    return config.published.row_name if config.own_dataset is None else OF_OWN_DATASET


def params_of(config: SweepConfig, train: TrainConfig) -> dict[str, Any]:
    """Return the swept settings of a training run, as its place in the space."""
    values = derived(train)
    return {name: values[name] for name in config.space}


def grid_size(config: SweepConfig) -> str:
    """Say the space in a line: `lambda2 [3, 8], ngf {16, 32}`."""
    return ", ".join(f"{name} {priors.shown(prior)}" for name, prior in config.space.items())


def largest(config: SweepConfig) -> TrainConfig:
    """Return the configuration of the space that needs most memory: the widest maps and latents, the largest batch."""
    growing = [name for name in (*config.base.widths, "batch_size") if name in config.space]
    wide = {name: max(priors.ends(config.space[name])) for name in growing}
    return config.base.with_settings(wide, "the search space")


def check(config: SweepConfig, where: str) -> None:
    """Check that every point of the space is a valid training run.

    Args:
        config: whose priors are valid one by one.
        where: file or option, named in errors.

    Raises:
        UserError: names the setting and the value that the trainer refuses.
    """
    row, _ = published_params(config)
    related = [name for name in config.space if name in config.base.related]
    for name, prior in config.space.items():
        for value in priors.ends(prior):
            _try(config, {**row, name: value}, where)
    # All of these are numbers by now, and the rules between them hold in the middle where they hold at both ends.
    ends = [(min(values), max(values)) for values in (priors.ends(config.space[name]) for name in related)]
    for corner in itertools.product(*ends):
        _try(config, {**row, **dict(zip(related, corner, strict=True))}, where)


def _try(config: SweepConfig, params: dict[str, Any], where: str) -> None:
    try:
        train_config(config, params, seed=0)
    except UserError as error:
        text = str(error).split(": ", 1)[-1]
        blamed = next((name for name in params if name in text), None)
        shown = f"space: {text}" if blamed is None else f"space.{blamed}: {text.split(f'{blamed}: ', 1)[-1]}"
        raise UserError(f"{where}: {shown}") from None


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float(hash(value) % 2**31)
