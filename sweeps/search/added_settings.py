"""The settings of a trial that a user adds, read from a command line and held against the study's space."""

from __future__ import annotations

from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params, train_config
from tsvan.validation import UserError, nearest, parse_value


def settings(config: SweepConfig, texts: list[str]) -> dict[str, Any]:
    """Read the settings of a trial to add, as `lambda2=5`; those of the space that are not named are drawn.

    Raises:
        UserError: one that the study does not sweep, a value outside of its range, or one that the trainer refuses.
    """
    space, found = distributions(config), dict[str, Any]()
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"add {text}: expected setting=value, as in {_example(config)}")
        if name not in space:
            raise UserError(f"add {text}: '{name}' is not in this study's space; {nearest(name, space)}")
        if name in found:
            raise UserError(f"add {text}: '{name}' is given twice; leave one out")
        found[name] = _value(name, parse_value(value), space[name])
    row, _ = published_params(config)
    try:
        train_config(config, {**row, **found}, seed=0)
    except UserError as error:
        raise UserError(f"add {' '.join(texts)}: {error}") from None
    return found


def _value(name: str, value: Any, prior: BaseDistribution) -> Any:
    """Return a value as Optuna keeps it."""
    try:
        if isinstance(prior, (FloatDistribution, IntDistribution)) and isinstance(value, (bool, str)):
            raise ValueError("not a number")
        kept = prior.to_external_repr(prior.to_internal_repr(value))
        if kept != value:
            raise ValueError("between two steps")
        create_trial(state=TrialState.RUNNING, params={name: kept}, distributions={name: prior})  # raises outside
    except (ValueError, TypeError):
        raise UserError(f"add {name}={value}: {name} must be {_range(prior)} in this study, got {value}") from None
    return kept


def _range(prior: BaseDistribution) -> str:
    if isinstance(prior, CategoricalDistribution):
        return f"one of {', '.join(map(str, prior.choices))}"
    assert isinstance(prior, (FloatDistribution, IntDistribution))
    step = "" if prior.step is None else f" in steps of {prior.step:g}"
    return f"from {prior.low:g} to {prior.high:g}{step}"


def _example(config: SweepConfig) -> str:
    params, _ = published_params(config)
    return " ".join(f"{name}={value}" for name, value in list(params.items())[:2])
