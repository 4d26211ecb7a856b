"""A single prior of a search space: what it may say of its setting, and what it is to Optuna."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweeps.config.schema import Prior
from tsvan.settings import Setting
from tsvan.validation import UserError


def laid_over(old: Any, new: Any) -> Any:
    """Lay a layer's prior over that of an earlier layer.

    One with both ends or with values is new as a whole; one with a part of a range changes that part alone.
    """
    if not isinstance(old, dict) or not isinstance(new, dict) or {"low", "high"} <= set(new):
        return new
    if new.get("values") is not None:
        old = {key: value for key, value in old.items() if key == "ordered"}
    elif any(new.get(key) is not None for key in ("low", "high", "step")):
        old = {key: value for key, value in old.items() if key not in ("values", "ordered")}
    return {**old, **new}


def typed(prior: Prior, setting: Setting) -> Prior:
    """Return the prior with its whole numbers said: a range over a setting that is a whole number draws such."""
    if prior.values is not None or setting.kind != "whole number":
        return prior
    low, high, step = map(_whole, (prior.low, prior.high, prior.step))
    return replace(prior, integer=True, low=low, high=high, step=step)


def check(setting: Setting, prior: Prior, usual: Any, where: str) -> None:
    """Check what a prior says of its setting.

    Args:
        usual: published value, for the way on.
        where: file or option, named in errors.

    Raises:
        UserError: the rule, the key, the value, and a way on that can be pasted.
    """
    name = setting.name
    if prior.values is not None:
        _check_values(name, prior, where)
        return
    if setting.kind in ("true or false", "one of"):
        raise UserError(
            f"{where}: space.{name} is no number and has no range; list its values, as in {example(setting, usual)}"
        )
    if prior.low is None or prior.high is None:
        raise UserError(f"{where}: space.{name} needs values, or low and high, as in {example(setting, usual)}")
    if prior.ordered:
        raise UserError(
            f"{where}: space.{name}.ordered is for values, a range is ordered; --set space.{name}.ordered=false"
        )
    if prior.low > prior.high:
        got = f"got low={prior.low:g}, high={prior.high:g}"
        raise UserError(f"{name}.low must be <= {name}.high, {got} in {where}")
    if prior.log and prior.low <= 0:
        raise UserError(
            f"{where}: {name}.low must be > 0 with log, got low={prior.low:g}; --set space.{name}.log=false"
        )
    if prior.integer and not all(isinstance(end, int) for end in (prior.low, prior.high, prior.step or 1)):
        ends = f"low={prior.low:g}, high={prior.high:g}" + (f", step={prior.step:g}" if prior.step else "")
        raise UserError(
            f"{where}: {name} is drawn in whole numbers, got {ends}; use such, as in {example(setting, usual)}"
        )
    _check_step(name, prior, where)


def example(setting: Setting, usual: Any) -> str:
    """Return a `--set` that gives a setting a sound prior around its published value."""
    most = _most(setting)
    if setting.kind == "true or false":
        text = ".values=[true, false]"
    elif setting.kind == "one of":
        text = f".values=[{', '.join(setting.choices)}]"
    elif setting.kind == "whole number":
        count = int(usual or 2)
        text = f"={{low: {max(count // 2, 1)}, high: {count * 2 if most is None else min(count * 2, int(most))}}}"
    else:
        value = float(usual or 1.0)
        high = value * 1.5 if most is None else min(value * 1.5, value + (most - value) / 2)
        text = f"={{low: {value / 2:g}, high: {high:g}}}"
    return f"--set 'space.{setting.name}{text}'"


def distribution(prior: Prior) -> BaseDistribution:
    """Return a prior as Optuna's database holds it; ordered values are choices there, and so are read as themselves."""
    if prior.values is not None:
        return CategoricalDistribution(prior.values)
    assert prior.low is not None
    assert prior.high is not None
    if prior.integer:
        return IntDistribution(int(prior.low), int(prior.high), log=prior.log, step=int(prior.step or 1))
    part = None if prior.step is None else float(prior.step)
    return FloatDistribution(float(prior.low), float(prior.high), log=prior.log, step=part)


def for_sampler(prior: Prior) -> BaseDistribution:
    """Return a prior as the sampler sees it: ordered values by their place, a whole number."""
    if prior.ordered and prior.values is not None:
        return IntDistribution(0, len(prior.values) - 1)
    return distribution(prior)


def to_sampler(prior: Prior, value: Any) -> Any:
    """Return a drawn value as the sampler sees it."""
    return prior.values.index(value) if prior.ordered and prior.values is not None else value


def from_sampler(prior: Prior, value: Any) -> Any:
    """Return the value that the sampler has drawn."""
    return prior.values[value] if prior.ordered and prior.values is not None else value


def shown(prior: Prior) -> str:
    """Say a prior in a few characters: `[3, 8]`, `{16, 32}`, `{16 < 32}` where their order counts."""
    if prior.values is not None:
        return "{" + (" < " if prior.ordered else ", ").join(map(_word, prior.values)) + "}"
    kind = " whole" if prior.integer else ""
    step = f" step {prior.step:g}" if prior.step is not None else ""
    return f"[{prior.low:g}, {prior.high:g}]{kind}{step}{' log' if prior.log else ''}"


def ends(prior: Prior) -> tuple[Any, ...]:
    """Return the extremes of a prior, as they are drawn; of one with `values` all of them."""
    if prior.values is not None:
        return prior.values
    assert prior.low is not None
    assert prior.high is not None
    kind = int if prior.integer else float
    return kind(prior.low), kind(prior.high)


def nearest(prior: Prior, value: Any) -> Any:
    """Return the value of a prior that is nearest to one; the first of values that are no numbers."""
    if prior.values is not None:
        if value in prior.values:
            return next(item for item in prior.values if item == value)
        numbers = [item for item in prior.values if _is_number(item)] if _is_number(value) else []
        return min(numbers, key=lambda item: abs(item - value)) if numbers else prior.values[0]
    low, high = ends(prior)
    step = prior.step if prior.step is not None else 1 if prior.integer else None
    if step is not None and step > 0:
        count = round((high - low) / step)
        place = min(max(round((float(value) - low) / step), 0), count)
        return int(low + place * step) if prior.integer else float(low + place * step)
    return min(max(float(value), low), high)


def grid(prior: Prior) -> list[Any] | None:
    """List all that a prior can draw; None: it is a range without steps."""
    if prior.values is not None:
        return list(prior.values)
    low, high = ends(prior)
    if prior.integer:
        return list(range(low, high + 1, int(prior.step or 1)))
    if prior.step is None:
        return [low] if low == high else None
    return [low + place * prior.step for place in range(round((high - low) / prior.step) + 1)]


def _check_values(name: str, prior: Prior, where: str) -> None:
    assert prior.values is not None
    if prior.low is not None or prior.high is not None or prior.step is not None or prior.log or prior.integer:
        raise UserError(f"{where}: space.{name} has values and a range; give values, or low and high")
    if not prior.values or len(set(prior.values)) < len(prior.values):
        raise UserError(f"{where}: {name}.values must be different and not empty, got {list(prior.values)}")


def _check_step(name: str, prior: Prior, where: str) -> None:
    if prior.step is None:
        return
    assert prior.low is not None
    assert prior.high is not None
    if prior.step <= 0:
        raise UserError(f"{where}: {name}.step must be > 0, got {prior.step:g}; --set space.{name}.step=null")
    if prior.log:
        raise UserError(f"{where}: {name} has log and step={prior.step:g}; keep one: --set space.{name}.step=null")
    low, high, step = (Decimal(str(end)) for end in (prior.low, prior.high, prior.step))  # as Optuna does
    if (high - low) % step:
        high = low + (high - low) // step * step
        got = f"got low={prior.low:g}, high={prior.high:g}, step={prior.step:g}"
        raise UserError(
            f"{where}: {name}.high must be low and a number of steps, {got}; --set space.{name}.high={high:g}"
        )


def _most(setting: Setting) -> float | None:
    """Return the upper bound of a setting, as its type says it; None: there is none."""
    found = [part.split()[1] for part in setting.bounds.split(", ") if part.startswith("<")]
    return float(found[0]) if found else None


def _whole(end: int | float | None) -> int | float | None:
    return int(end) if isinstance(end, float) and end.is_integer() else end


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
