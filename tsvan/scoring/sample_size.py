"""How the metrics of real clips grow with the number of clips N: what a score of few clips can be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tsvan.scoring.measured import Ints, Measured
from tsvan.scoring.metrics import Metric, values

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
            predicted classes (those that may be resampled) draw N clips with replacement, so that N can be larger than
            the number of held-out clips; distances draw without, so that they end where the clips end.
        num_clips: held-out clips that are drawn from; distances have half of them, against the other half.
        scorer_hash: the scorer's.
    """

    sizes: tuple[int, ...]
    values: dict[str, dict[str, tuple[float, float]]]
    num_clips: int
    scorer_hash: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Growth:
        """Build the growth that `to_dict` gave."""
        table = {
            metric: {size: (float(mean), float(sd)) for size, (mean, sd) in row.items()}
            for metric, row in values["values"].items()
        }
        return cls(tuple(values["sizes"]), table, values["num_clips"], values["scorer_hash"])


def growth_sizes(marked: Sequence[int]) -> tuple[int, ...]:
    """Return the groups' sizes `marked`, and 16, 64, 256 to beyond them: does a metric still grow there?"""
    steps = []
    size = 16
    while size <= 4 * max(marked):
        steps.append(size)
        size *= 4
    return tuple(sorted({*steps, *marked}))


def grow(
    real: Measured, metrics: Mapping[str, Metric], sizes: Sequence[int], scorer_hash: str, seed: int = 0
) -> Growth:
    """Measure the growth on features that are there already.

    Args:
        real: held-out clips; the even ones are the reference of the distances, the odd ones are drawn.
        metrics: those that can be measured; those that look at the clips themselves are left out, as N can be large.
        sizes: the N.
        scorer_hash: recorded.
        seed: of the draws.
    """
    reference, others = real[::2], real[1::2]
    known = {name: metric for name, metric in metrics.items() if metric.needs != "clips"}
    resampled = {name: metric for name, metric in known.items() if metric.resampled}
    distances = {name: metric for name, metric in known.items() if not metric.resampled}
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for size in sizes:
        _add(found, size, [values(resampled, real[some], reference) for some in _draws(len(real), size, True, seed)])
        if size < min(len(others), MOST_FOR_DISTANCES + 1):
            drawn = _draws(len(others), size, False, seed)
            _add(found, size, [values(distances, others[some], reference) for some in drawn])
    return Growth(tuple(sizes), found, len(real), scorer_hash)


def _draws(count: int, size: int, replace: bool, seed: int) -> Iterator[Ints]:
    kind = _REPLACED if replace else _APART
    for draw in range(DRAWS):
        yield np.random.default_rng([seed, kind, size, draw]).choice(count, size, replace=replace)


def _add(found: dict[str, dict[str, tuple[float, float]]], size: int, draws: list[dict[str, float]]) -> None:
    for metric in draws[0]:
        series = [draw[metric] for draw in draws]
        found.setdefault(metric, {})[str(size)] = (float(np.mean(series)), float(np.std(series, ddof=1)))
