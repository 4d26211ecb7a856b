"""Sweep config -> Optuna space -> training settings."""

from __future__ import annotations

import itertools
import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)

from sweeps.config.schema import Prior, SweepConfig
from tsvan.run_config import TrainConfig
from tsvan.validation import UserError

NEAREST = "{}, nearest in the space"
"""Origin of the first trial where the space does not hold the published row."""


def distributions(config: SweepConfig) -> dict[str, BaseDistribution]:
    """Return the space as Optuna knows it, in the YAML's order."""
    return {name: _distribution(prior) for name, prior in config.space.items()}


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
    name_of_row, row = config.published.row_name, derived(config.published)
    params = {name: _nearest(prior, row[name]) for name, prior in config.space.items()}
    exact = all(math.isclose(_number(params[name]), _number(row[name])) for name in params)
    return params, name_of_row if exact else NEAREST.format(name_of_row)


def params_of(config: SweepConfig, train: TrainConfig) -> dict[str, Any]:
    """Return the swept settings of a training run, as its place in the space."""
    values = derived(train)
    return {name: values[name] for name in config.space}


def grid_size(config: SweepConfig) -> str:
    """Say the space in a line: `lambda2 [3, 8], ngf {16, 32}`."""
    parts = []
    for name, prior in config.space.items():
        values = prior.values
        shown = f"[{prior.low:g}, {prior.high:g}]" if values is None else "{" + ", ".join(map(str, values)) + "}"
        parts.append(f"{name} {shown}{' log' if prior.log else ''}")
    return ", ".join(parts)


def largest(config: SweepConfig) -> TrainConfig:
    """Return the configuration of the space that needs most memory: the widest maps and latents."""
    wide = {}
    for name in config.base.widths:
        prior = config.space.get(name)
        if prior is not None:
            wide[name] = max(prior.values) if prior.values is not None else prior.high
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
        for value in _extremes(prior):
            _try(config, {**row, name: value}, where)
    # All of these are numbers by now, and the rules between them hold in the middle where they hold at both ends.
    ends = [(min(values), max(values)) for values in (_extremes(config.space[name]) for name in related)]
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


def _extremes(prior: Prior) -> tuple[Any, ...]:
    """Return the extremes of a prior, as they are drawn; of one with `values` all of them."""
    if prior.values is not None:
        return prior.values
    assert prior.low is not None
    assert prior.high is not None
    return float(prior.low), float(prior.high)


def _distribution(prior: Prior) -> BaseDistribution:
    if prior.values is not None:
        return CategoricalDistribution(prior.values)
    assert prior.low is not None
    assert prior.high is not None
    return FloatDistribution(float(prior.low), float(prior.high), log=prior.log)


def _nearest(prior: Prior, value: Any) -> Any:
    if prior.values is not None:
        if value in prior.values:
            return value
        numbers = [item for item in prior.values if _is_number(item)] if _is_number(value) else []
        return min(numbers, key=lambda item: abs(item - value)) if numbers else prior.values[0]
    assert prior.low is not None
    assert prior.high is not None
    return min(max(float(value), float(prior.low)), float(prior.high))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float(hash(value) % 2**31)
