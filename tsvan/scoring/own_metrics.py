"""Metrics of the user's own: an entry as those that ship, made of a function named as `module:function`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from tsvan.own_code import load_own, source_hash
from tsvan.scoring.measured import Measured
from tsvan.scoring.metrics import METRICS, Direction, Metric
from tsvan.validation import STRICT, UserError, first_line

_TAKEN = ("auto", "score_seconds")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, config=STRICT)
class OwnMetric:
    """A metric of the user's own, as a config holds it.

    Args:
        function: `module:function`, or `module:name` of a `tsvan.scoring.metrics.Metric`.
        direction: which way is better, as the function says it.
        title: one line, from the function's docstring.
        source: hash of the file that it is in: another one would not be comparable.
    """

    function: str
    direction: Direction | None = None
    title: str = ""
    source: str = ""


def settled(name: str, entry: OwnMetric, key: str = "") -> OwnMetric:
    """Return the entry with what its function says of itself.

    Args:
        name: of the metric.
        entry: from a config.
        key: named in errors.

    Raises:
        UserError: the name is taken or none, there is no such function, or it doesn't say its direction.
    """
    where = key or f"metrics.{name}"
    if not _NAME.fullmatch(name) or name in METRICS or name in _TAKEN:
        why = "is taken" if name in METRICS or name in _TAKEN else "must be small letters, digits and _"
        raise UserError(f"{where}: the name '{name}' {why}; choose another")
    metric = _metric(name, entry, where, None)
    return replace(entry, direction=metric.direction, title=metric.title, source=metric.source)


def own_metrics(entries: Mapping[str, OwnMetric], folder: Path | None = None) -> dict[str, Metric]:
    """Make the metrics of entries.

    Args:
        entries: settled, by name.
        folder: where their modules are looked for; None: the current folder.

    Raises:
        UserError: a function can't be had, or its file has changed since its entry was settled.
    """
    made = {}
    for name, entry in entries.items():
        metric = _metric(name, entry, f"metrics.{name}", folder)
        if entry.source and metric.source != entry.source:
            text = f"the file of {entry.function} has changed since the study began: scores would not be comparable"
            raise UserError(f"metrics.{name}: {text}; restore it, or choose another --out")
        made[name] = metric
    return made


def _metric(name: str, entry: OwnMetric, where: str, folder: Path | None) -> Metric:
    found = load_own(entry.function, where, folder)
    if isinstance(found, Metric):
        metric, code = found, found.compute
    else:
        direction = entry.direction or getattr(found, "direction", None)
        if not callable(found) or direction not in ("maximize", "minimize"):
            function = entry.function.partition(":")[2]
            text = f"{entry.function} does not say its direction; write below it: {function}.direction = 'minimize'"
            raise UserError(f"{where}: {text}, or 'maximize'")
        metric, code = Metric(entry.title or _title(found, name), direction, found, needs="clips"), found
    return replace(metric, compute=_guarded(metric.compute, where, entry.function), source=source_hash(code))


def _guarded(
    compute: Callable[[Measured, Measured], Any], where: str, function: str
) -> Callable[[Measured, Measured], float]:
    """Say in one line what a function of the user's raises, or returns that is no number."""

    def value(generated: Measured, real: Measured) -> float:
        try:
            return float(compute(generated, real))
        except Exception as error:  # whatever a user's function raises
            text = f"{function} raised {type(error).__name__}: {first_line(error)}"
            raise UserError(f"{where}: {text}; it takes generated and real clips, and returns a number") from None

    return value


def _title(function: Any, name: str) -> str:
    text = (getattr(function, "__doc__", None) or "").strip()
    return first_line(text).rstrip(".") if text else name
