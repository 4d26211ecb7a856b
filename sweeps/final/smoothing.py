"""The score of each setting as its neighbours see it: the mean of a Gaussian process over the complete trials.

The best of many single scores is partly luck. A setting that is good beside good ones is likelier to be truly good: in
simulated studies (`python -m benchmarks.confirming`) candidates for the confirm stage are better chosen so.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweeps.config.schema import Objective, Prior

Points = NDArray[np.float64]

FEWEST = 8
"""Complete trials below which no process is fitted: the scores themselves rank."""
_NORMAL_95 = 1.96
_RESTARTS = 3


@dataclass(frozen=True)
class Smoothed:
    """What the complete trials together say of one of them.

    Args:
        score: its own.
        mean: of the process there.
        low, high: 95% interval of the true score there, without the noise of one training run.
    """

    score: float
    mean: float
    low: float
    high: float


def smoothed(
    params: Mapping[int, Mapping[str, Any]], scores: Mapping[int, float], space: Mapping[str, Prior], seed: int = 0
) -> dict[int, Smoothed] | None:
    """Fit a Gaussian process to the complete trials.

    Args:
        params: number of a trial -> what was drawn.
        scores: of the same trials.
        space: prior of each setting, which says what is near.
        seed: of the starts of the fit.

    Returns:
        By number; None where the trials are too few, or all have one score.
    """
    numbers = sorted(scores)
    values = np.array([scores[number] for number in numbers], dtype=np.float64)
    if len(numbers) < FEWEST or not space or values.std() == 0:
        return None
    points = np.array([coordinates(params[number], space) for number in numbers])
    centre, scale = values.mean(), values.std()
    mean, deviation = _fit(points, (values - centre) / scale, seed)
    return {
        number: Smoothed(
            score=float(values[place]),
            mean=float(centre + scale * mean[place]),
            low=float(centre + scale * (mean[place] - _NORMAL_95 * deviation[place])),
            high=float(centre + scale * (mean[place] + _NORMAL_95 * deviation[place])),
        )
        for place, number in enumerate(numbers)
    }


def ranked(found: Mapping[int, Smoothed], objective: Objective) -> list[int]:
    """Rank trials by their means, best first; of equal ones by their scores."""
    return objective.rank(objective.rank(sorted(found), lambda number: found[number].score), lambda n: found[n].mean)


def _fit(points: Points, values: Points, seed: int) -> tuple[Points, Points]:
    """Return mean and standard deviation of the function at the points, in units of the values' spread."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    # One length for all settings: few trials can't tell a useless setting from a rough one, and in the simulated
    # studies a length for each gained half as much. Noise between seeds there always is.
    shape = Matern(length_scale=1.0, length_scale_bounds=(0.3, 5.0), nu=2.5)
    kernel = ConstantKernel(1.0, (0.05, 10.0)) * shape + WhiteKernel(0.3, (0.05, 2.0))
    process = GaussianProcessRegressor(kernel, n_restarts_optimizer=_RESTARTS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        process.fit(points, values)
    mean, deviation = process.predict(points, return_std=True)
    noise = process.kernel_.k2.noise_level
    return mean, np.sqrt(np.maximum(deviation**2 - noise, 0.0))


def coordinates(params: Mapping[str, Any], space: Mapping[str, Prior]) -> Points:
    """Place a config in the unit cube, by its settings in the order of the space."""
    return np.array([part for name, prior in space.items() for part in _coordinates(prior, params[name])])


def _coordinates(prior: Prior, value: Any) -> Sequence[float]:
    """Place a value on [0, 1]: numbers by their size, or among values by their rank; words each in a direction of their
    own."""
    if prior.values is not None:
        if prior.ordered or all(isinstance(one, (int, float)) for one in prior.values):
            order = list(prior.values) if prior.ordered else sorted(prior.values, key=float)
            return [order.index(value) / max(len(order) - 1, 1)]
        return [math.sqrt(0.5) * (value == one) for one in prior.values]
    assert prior.low is not None
    assert prior.high is not None
    low, high, at = (math.log(one) if prior.log else float(one) for one in (prior.low, prior.high, value))
    return [(at - low) / (high - low) if high > low else 0.0]
