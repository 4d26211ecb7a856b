"""A sampler, a rule of early stopping and metrics as a user would write them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution

from sweeps.config.schema import Objective
from tsvan.scoring.measured import Measured
from tsvan.scoring.metrics import Metric


class MiddleSampler(optuna.samplers.BaseSampler):
    """Goes through each range in equal steps, `parts` of them, by the number of trials that are known."""

    def __init__(self, parts: int = 4) -> None:
        self._parts = parts

    def infer_relative_search_space(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: optuna.Study, trial: optuna.trial.FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        if isinstance(param_distribution, optuna.distributions.CategoricalDistribution):
            return param_distribution.choices[trial.number % len(param_distribution.choices)]
        share = (trial.number % self._parts) / self._parts
        value = param_distribution.low + share * (param_distribution.high - param_distribution.low)
        return int(value) if isinstance(param_distribution, optuna.distributions.IntDistribution) else value


class BelowMedian:
    """Stops a trial whose score is worse than the median of the scores that others had at the same iteration."""

    def __init__(self, rungs: tuple[int, ...], reduction: int, objective: Objective, patience: int = 1) -> None:
        self.rungs, self.objective, self.patience = rungs, objective, patience
        self._seen: dict[int, dict[int, float]] = {}

    def recall(self, scores: Iterable[tuple[int, int, float]]) -> None:
        for number, iteration, score in scores:
            self._seen.setdefault(iteration, {})[number] = score

    def goes_on(self, number: int, iteration: int, score: float) -> bool:
        others = [value for other, value in self._seen.get(iteration, {}).items() if other != number]
        self.recall([(number, iteration, score)])
        return len(others) < self.patience or not self.objective.better(float(np.median(others)), score)


class Unfinished:
    """Has no method that judges."""

    def __init__(self, **keywords: object) -> None:
        self.keywords = keywords

    def recall(self, scores: Iterable[tuple[int, int, float]]) -> None:
        pass


NOT_A_CLASS = 3


def flicker(generated: Measured, real: Measured) -> float:
    """How far the mean change between frames is from that of real clips."""
    return abs(_change(generated) - _change(real))


flicker.direction = "minimize"  # type: ignore[attr-defined]


def _change(some: Measured) -> float:
    assert some.clips is not None
    frames = some.clips.astype(np.float32)
    return float(np.abs(np.diff(frames, axis=2)).mean())


def no_direction(generated: Measured, real: Measured) -> float:
    return 0.0


def broken(generated: Measured, real: Measured) -> float:
    raise ValueError("no such\nthing")


broken.direction = "maximize"  # type: ignore[attr-defined]


def _confidence(generated: Measured, real: Measured) -> float:
    return float(generated.probabilities.max(1).mean())


CONFIDENCE = Metric("mean probability of the likeliest class", "maximize", _confidence, resampled=True)
