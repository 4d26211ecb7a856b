"""Which metric steers a study, and why: what passes is decided by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sweeps.config.schema import Objective
from tsvan.scoring.evidence import MIN_ERRORS
from tsvan.scoring.metrics import METRICS
from tsvan.scoring.sensitivity import Sensitivity


@dataclass(frozen=True)
class Choice:
    """The choice of what a study is judged by.

    Args:
        objective: metric and direction.
        why: a line for the plan, MLflow and the report.
        weak: why it should not steer a study; empty when it passes.
    """

    objective: Objective
    why: str
    weak: str = ""


def candidates_line(order: Sequence[str]) -> str:
    """Say what `auto` will do, while there is no scorer yet."""
    return (
        f"auto: the first of {', '.join(order)} of which static and time-shuffled copies of real clips are worse by "
        f"{MIN_ERRORS:g} standard errors each; known when the scorer is trained"
    )


def choose(objective: Objective, order: Sequence[str], sensitivity: Sensitivity) -> Choice | None:
    """Choose the metric that a study is judged by.

    Args:
        objective: the one asked for, or `auto`.
        order: metrics of the dataset, the preferred one first, for `auto`.
        sensitivity: what the scorer sees of motion.

    Returns:
        None when the metric is not measured here, or `auto` finds none that is. The choice may be weak: with `auto`,
        when no metric passes, it is the one that comes nearest.
    """
    measured = [name for name in (order if objective.auto else [objective.metric]) if name in sensitivity.rows["real"]]
    if not measured:
        return None
    refused = {name: sensitivity.refuses(name) for name in measured}
    passing = [name for name in measured if refused[name] is None]
    name = passing[0] if passing else max(measured, key=sensitivity.evidence)
    weak = "" if passing else "; ".join(filter(None, refused.values()))
    found = sensitivity.describe(name)
    if not objective.auto:
        return Choice(objective, f"{name} (asked for): {found}", weak)
    chosen = Objective(name, METRICS[name].direction)
    if not passing:
        return Choice(chosen, f"{name} (auto: none of {', '.join(measured)} passes, this comes nearest): {found}", weak)
    before = "".join(f"; not {other}: {sensitivity.describe(other)}" for other in measured[: measured.index(name)])
    return Choice(chosen, f"{name} (auto: the first of {', '.join(order)} that passes): {found}{before}")
