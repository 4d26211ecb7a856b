"""How the metrics of real clips grow with the number of clips N: what a score of few clips can be compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsvan.scoring.features import Measured, class_values, distances

DRAWS = 10
MOST_FOR_DISTANCES = 2_048
"""Above this many clips no distance is taken: its time grows with the square, its mean no longer changes."""

_REPLACED, _APART = 0, 1


@dataclass(frozen=True)
class Growth:
    """Metrics of real clips at several N.

    Args:
        sizes: the N, rising.
        values: metric -> N as text (a JSON key) -> (mean, standard deviation) over random draws. The metrics of
            predicted classes draw N clips with replacement, so that N can be larger than the number of held-out clips;
            distances draw without, so that they end where the clips end.
        num_clips: held-out clips that are drawn from; distances have half of them, against the other half.
        scorer_hash: the scorer's.
    """

    sizes: tuple[int, ...]
    values: dict[str, dict[str, tuple[float, float]]]
    num_clips: int
    scorer_hash: str

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Growth:
        """What `to_dict` gave."""
        table = {
            metric: {size: (float(mean), float(sd)) for size, (mean, sd) in row.items()}
            for metric, row in values["values"].items()
        }
        return cls(tuple(values["sizes"]), table, values["num_clips"], values["scorer_hash"])


def growth_sizes(marked: Sequence[int]) -> tuple[int, ...]:
    """The groups' sizes `marked`, and 16, 64, 256 and on to beyond them: does a metric still grow there?"""
    steps = []
    size = 16
    while size <= 4 * max(marked):
        steps.append(size)
        size *= 4
    return tuple(sorted({*steps, *marked}))


def grow(
    real: Measured, labels: NDArray[np.int64], num_classes: int, sizes: Sequence[int], scorer_hash: str, seed: int = 0
) -> Growth:
    """Measure the growth on features that are there already.

    Args:
        real: held-out clips; the even ones are the reference of the distances, the odd ones are drawn.
        labels: (n,) their classes.
        num_classes: K.
        sizes: the N.
        scorer_hash: recorded.
        seed: of the draws.
    """
    reference, others = real[::2], real[1::2]
    values: dict[str, dict[str, tuple[float, float]]] = {}

    def of_classes(chosen: NDArray[np.int64]) -> dict[str, float]:
        return class_values(real[chosen], labels[chosen], num_classes)

    def of_distances(chosen: NDArray[np.int64]) -> dict[str, float]:
        return distances(others[chosen], reference)

    for size in sizes:
        _add(values, size, of_classes, _draws(len(real), size, True, seed))
        if size < min(len(others), MOST_FOR_DISTANCES + 1):
            _add(values, size, of_distances, _draws(len(others), size, False, seed))
    return Growth(tuple(sizes), values, len(real), scorer_hash)


def _draws(count: int, size: int, replace: bool, seed: int) -> Iterator[NDArray[np.int64]]:
    kind = _REPLACED if replace else _APART
    for draw in range(DRAWS):
        yield np.random.default_rng([seed, kind, size, draw]).choice(count, size, replace=replace)


def _add(
    values: dict[str, dict[str, tuple[float, float]]],
    size: int,
    statistic: Callable[[NDArray[np.int64]], dict[str, float]],
    draws: Iterator[NDArray[np.int64]],
) -> None:
    found = [statistic(chosen) for chosen in draws]
    for metric in found[0]:
        series = [row[metric] for row in found]
        values.setdefault(metric, {})[str(size)] = (float(np.mean(series)), float(np.std(series, ddof=1)))
