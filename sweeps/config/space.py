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

from sweeps.config.schema import RATIO, Prior, SweepConfig
from tsvan.config import TrainConfig
from tsvan.data.published import published
from tsvan.validation import UserError

TABLE_3 = "table 3"
NEAREST = "table 3, nearest in the space"
_RELATED = ("lambda5_lower", "lambda5_upper", RATIO, "ramp_start", "ramp_end")
"""Settings that the trainer checks against each other: all their extremes are tried together."""


def distributions(config: SweepConfig) -> dict[str, BaseDistribution]:
    """The space as Optuna knows it, in the YAML's order."""
    return {name: _distribution(prior) for name, prior in config.space.items()}


def train_config(config: SweepConfig, params: dict[str, Any], seed: int) -> TrainConfig:
    """A trial's full settings: the study's base, changed by what was drawn.

    Args:
        config: the study.
        params: setting -> value; lambda5_ratio becomes lambda5_upper = ratio x lambda5_lower.
        seed: of the training run.

    Raises:
        UserError: a value that the trainer refuses.
    """
    base = config.base
    settings = dict(params)
    ratio = settings.pop(RATIO, None)
    if ratio is not None:
        settings["lambda5_upper"] = float(ratio) * float(settings.get("lambda5_lower", base.loss.lambda5_lower))
    return base.with_settings({**settings, "seed": seed}, "the search space")


def derived(train: TrainConfig) -> dict[str, Any]:
    """Everything that is set, by plain name, with lambda5's ratio: what a trial logs as parameters."""
    values: dict[str, Any] = {}
    for key, value in train.to_dict().items():
        values.update(value if isinstance(value, dict) else {key: value})
    if train.loss.lambda5_lower > 0:
        values[RATIO] = train.loss.lambda5_upper / train.loss.lambda5_lower
    values["lambda_img"] = train.loss.one_step_kl
    return values


def describe(train: TrainConfig) -> str:
    """Say a config in a few characters: `ngf32 z512 λ2=5.1 λ5=2→15`."""
    model, loss = train.model, train.loss
    parts = [f"ngf{model.ngf}", f"z{model.content_dim}", f"λ2={loss.lambda2:.3g}"]
    return " ".join([*parts, f"λ5={loss.lambda5_lower:.3g}→{loss.lambda5_upper:.3g}"])


def published_params(config: SweepConfig) -> tuple[dict[str, Any], str]:
    """The Table 3 row as a point of the space: the first trial.

    Returns:
        The parameters, and TABLE_3, or NEAREST where the study's (narrowed) space does not hold the row.
    """
    row = derived(published(config.rules))
    params = {name: _nearest(prior, row[name]) for name, prior in config.space.items()}
    exact = all(math.isclose(_number(params[name]), _number(row[name])) for name in params)
    return params, TABLE_3 if exact else NEAREST


def params_of(config: SweepConfig, train: TrainConfig) -> dict[str, Any]:
    """The swept settings of a training run, as its place in the space."""
    values = derived(train)
    return {name: values[name] for name in config.space}


def grid_size(config: SweepConfig) -> str:
    """The space in a line: `lambda2 [3, 8], ngf {16, 32}`."""
    parts = []
    for name, prior in config.space.items():
        values = prior.values
        shown = f"[{prior.low:g}, {prior.high:g}]" if values is None else "{" + ", ".join(map(str, values)) + "}"
        parts.append(f"{name} {shown}{' log' if prior.log else ''}")
    return ", ".join(parts)


def largest(config: SweepConfig) -> TrainConfig:
    """The configuration of the space that needs most memory: the widest content stream and latent."""
    wide = {}
    for name in ("ngf", "content_dim", "motion_dim", "kernel_layers"):
        prior = config.space.get(name)
        if prior is not None:
            wide[name] = max(prior.values) if prior.values is not None else prior.high
    return config.base.with_settings(wide, "the search space")


def check(config: SweepConfig, where: str) -> None:
    """Every point of the space must be a valid training run.

    Args:
        config: whose priors are valid one by one.
        where: file or option, named in errors.

    Raises:
        UserError: names the setting and the value that the trainer refuses.
    """
    row, _ = published_params(config)
    related = [name for name in config.space if name in _RELATED]
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
    """As they are drawn."""
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
