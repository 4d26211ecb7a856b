"""What differences between scores prove: intervals over training seeds, the verdict, and which configs can't be told
from the best. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from sweeps.config.schema import Objective

LEVEL = 0.95
WITHOUT_INTERVAL = ("frechet_distance", "fvd_i3d")
"""Resampling biases a Frechet distance, so none of its intervals is shown."""
_ROUNDING = 1e-6
"""An interval that is narrower, as a share of its mean, shows the rounding of equal differences."""
KEEP_PUBLISHED = "no evidence; keep the published setting"


@dataclass(frozen=True)
class Interval:
    """A mean and, for two or more values, its 95% t interval."""

    mean: float
    low: float | None
    high: float | None
    values: list[float]


@dataclass(frozen=True)
class Noise:
    """The noise between training seeds: how much a score differs between those of one config.

    Args:
        std: standard deviation, pooled over configs.
        dof: its degrees of freedom.
        source: where it was measured, for people.
    """

    std: float
    dof: int
    source: str


def interval(values: Sequence[float]) -> Interval:
    """Compute mean and 95% t interval (n - 1 degrees of freedom); one value has no interval."""
    from scipy import special  # `scipy.stats` has these too, but loads three times as long

    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Interval(mean, None, None, list(values))
    half = float(special.stdtrit(count - 1, (1 + LEVEL) / 2)) * _deviation(values) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half, list(values))


def paired(one: Mapping[int, float], other: Mapping[int, float]) -> Interval | None:
    """Compute the interval of `one` - `other` over the seeds that both have; None: they share none.

    Args:
        one, other: place of the seed -> score. The same seed draws the same batches and latents for both.
    """
    places = sorted(set(one) & set(other))
    return interval([one[place] - other[place] for place in places]) if places else None


def two_sample(one: Sequence[float], other: Sequence[float]) -> Interval:
    """Compute the 95% t interval of the difference of two means of unpaired runs (Welch's, of unequal variances).

    Args:
        one, other: scores, one a training seed; with fewer than two on a side there is no interval.

    Returns:
        The interval, without `values`: none of them is a difference.
    """
    from scipy import special

    mean = math.fsum(one) / len(one) - math.fsum(other) / len(other)
    if min(len(one), len(other)) < 2:
        return Interval(mean, None, None, [])
    shares = [_deviation(values) ** 2 / len(values) for values in (one, other)]
    total = math.fsum(shares)
    if total == 0:  # equal seeds show no noise, and no interval
        return Interval(mean, None, None, [])
    parts = [share**2 / (len(values) - 1) for share, values in zip(shares, (one, other), strict=True)]
    half = float(special.stdtrit(total**2 / math.fsum(parts), (1 + LEVEL) / 2)) * math.sqrt(total)
    return Interval(mean, mean - half, mean + half, [])


def pooled(groups: Sequence[Sequence[float]], source: str) -> Noise | None:
    """Pool the noise between seeds, from the scores of configs that were trained with several; None: none was.

    The configs share their seeds, so that their deviations may move together: the degrees of freedom are those of the
    one with most seeds alone.
    """
    several = [group for group in groups if len(group) > 1]
    if not several:
        return None
    total = sum(len(group) - 1 for group in several)
    squares = math.fsum((len(group) - 1) * _deviation(group) ** 2 for group in several)
    return Noise(math.sqrt(squares / total), max(len(group) - 1 for group in several), source)


def measured_noise(groups: Mapping[tuple[str, str], Sequence[float]]) -> Noise | None:
    """Return the noise between seeds as a study measured it: by its calibration, else by its `confirm` stage, of which
    only the spread within each config is used and never which is better. Never by `report`: its more clips hide noise.

    Args:
        groups: (stage, config) -> scores, one a training seed, each of as many clips as a trial's score.
    """
    calibration = [values for (stage, _), values in groups.items() if stage == "calibrate"]
    confirm = [values for (stage, _), values in groups.items() if stage == "confirm"]
    seeds = sum(map(len, calibration))
    measured = pooled(calibration, f"{seeds} seeds of the published row, before the sweep")
    return measured or pooled(confirm, "the seeds of the confirm stage's configs")


def verdict(
    objective: Objective, difference: Interval | None, same: bool, lost: tuple[int, int] = (0, 0), seeds: int = 0
) -> str:
    """Say adopt or keep, in a line: `adopt` only where the whole interval of winner - published is on the better side.

    Args:
        same: winner and published row are the same settings.
        lost: seeds of the winner and of the published row without a score.
        seeds: that both were to be trained with.
    """
    if same:
        return "the best config is the published setting: keep it"
    if difference is None:
        return "no verdict: not both configs have a final score"
    if lost[0] > lost[1]:  # what is left of it was selected by luck
        return f"{KEEP_PUBLISHED}: {lost[0]} of {seeds} seeds of the best config failed"
    over = f" over {len(difference.values)} of {seeds} seeds" if any(lost) else ""
    if difference.low is None or difference.high is None:
        return f"{KEEP_PUBLISHED}: {difference.mean:+.3g} from one seed"
    if difference.high - difference.low <= _ROUNDING * abs(difference.mean):  # runs with seeds of their own differ more
        return f"{KEEP_PUBLISHED}: {difference.mean:+.3g} from seeds that do not differ, which shows no noise"
    better = all(objective.better(bound, 0.0) for bound in (difference.low, difference.high))
    return f"{'adopt' if better else KEEP_PUBLISHED}: {shown(objective.metric, difference, sign='+')}{over}"


def shown(metric: str, value: Interval, sign: str = "") -> str:
    """Write `+0.31 [0.12, 0.50]`: as many decimals as the interval's width tells apart; without one, four digits."""
    if value.low is None or value.high is None or metric in WITHOUT_INTERVAL:
        return f"{value.mean:{sign}.4g}"
    digits = f".{decimals(value)}f"
    return f"{value.mean:{sign}{digits}} [{value.low:{digits}}, {value.high:{digits}}]"


def decimals(value: Interval) -> int:
    """Return how many decimals the interval's width tells apart; four where it has none."""
    if value.low is None or value.high is None or value.high <= value.low:
        return 4
    return min(max(1 - math.floor(math.log10((value.high - value.low) / 2)), 0), 9)


def indistinguishable(scores: Mapping[int, float], noise: Noise, objective: Objective) -> list[int]:
    """List the configs that can't be told from the best, best first: Hsu's multiple comparisons with the best.

    A config is left out when its score lies more than `margin` below the best one's. With probability 95% the truly
    best config is among those that stay, whichever it is and however many there are (J. C. Hsu, "Constrained
    simultaneous confidence intervals for multiple comparisons with the best", 1984).

    Args:
        scores: number of a trial -> score, one training seed each.
        noise: of one score.
        objective: says which score is better.
    """
    ranked = objective.rank(sorted(scores), lambda number: scores[number])
    if not ranked:
        return []
    allowed = margin(len(ranked), noise)
    return [number for number in ranked if objective.sign * (scores[ranked[0]] - scores[number]) <= allowed]


def margin(configs: int, noise: Noise) -> float:
    """Return how far below the best a score may lie and still be of the best config, in units of the score."""
    return dunnett(configs - 1, noise.dof) * math.sqrt(2) * noise.std if configs > 1 else 0.0


@cache
def dunnett(comparisons: int, freedom: int, level: float = LEVEL) -> float:
    """Compute the one-sided critical value of Dunnett's test: P(max_i (Z_i - Z_0) / (√2 S) <= d) = level, with
    independent standard normal Z and freedom S² ~ chi². With one comparison it is Student's t quantile."""
    from scipy import optimize, special

    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    steps = (np.arange(400) + 0.5) / 400  # quantiles of S, in the middle of slices of equal probability
    deviations = np.sqrt(special.chdtri(freedom, 1 - steps) / freedom)  # its second argument is the upper tail

    def probability(d: float) -> float:
        inner = special.ndtr(nodes[:, None] + math.sqrt(2) * d * deviations[None, :]) ** comparisons
        return float((weights @ inner).mean())

    return float(optimize.brentq(lambda d: probability(d) - level, 0.0, 1e4, xtol=1e-6))


def _deviation(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
