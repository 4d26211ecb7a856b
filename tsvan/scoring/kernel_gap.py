"""How much worse broken clips score than the real clips that they were made from, with a standard error.

Standard error: the delete-one jackknife (Efron and Stein, "The jackknife estimate of variance", 1981). A deleted clip
takes its broken copy with it, so that what the two share cancels. Windows of one video count as independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tsvan.scoring.metrics import Array, kernel_diagonal, kernel_rows

MIN_GAP_CLIPS = 6
"""Fewer leave halves of which a clip cannot be deleted."""


@dataclass(frozen=True)
class Gap:
    """A difference of two kernel distances, broken minus real; above zero: broken clips score worse.

    Args:
        difference: of the distances to the real clips of the other half, mean over both halves.
        standard_error: of the difference, over clips.
    """

    difference: float
    standard_error: float

    @property
    def errors(self) -> float:
        """The difference in standard errors."""
        if self.standard_error == 0:
            return float(np.copysign(np.inf, self.difference)) if self.difference else 0.0
        return self.difference / self.standard_error


def kernel_gap(broken: Array, real: Array) -> Gap:
    """The gap between clips and their broken copies.

    The halves are the even and the odd clips, as in the sensitivity table; each half is compared with the other's real
    clips.

    Args:
        broken, real: (N, d) features of the same clips in the same order, N at least MIN_GAP_CLIPS.

    Raises:
        ValueError: other shapes.
    """
    if broken.shape != real.shape or len(real) < MIN_GAP_CLIPS:
        raise ValueError(f"a gap needs pairs of at least {MIN_GAP_CLIPS} clips, got {broken.shape} and {real.shape}")
    total = 0.0
    without = np.zeros(len(real))
    for side in (0, 1):
        scored, others = slice(side, None, 2), slice(1 - side, None, 2)
        for features, sign in ((broken, 0.5), (real, -0.5)):
            value, less_scored, less_others = _distance(features[scored], real[others])
            total += sign * value
            without[scored] += sign * less_scored
            without[others] += sign * less_others
    count = len(real)
    error = np.sqrt((count - 1) / count * ((without - without.mean()) ** 2).sum())
    return Gap(float(total), float(error))


def _distance(a: Array, b: Array) -> tuple[float, Array, Array]:
    """The part of the kernel distance that `a` changes: of all clips, without each of a, without each of b."""
    n, m = len(a), len(b)
    within = kernel_rows(a, a) - kernel_diagonal(a)  # (n,) sums over j != i
    rows, columns = kernel_rows(a, b), kernel_rows(b, a)  # (n,), (m,)
    pairs, cross = within.sum(), rows.sum()
    mean_within = pairs / (n * (n - 1))
    value = mean_within - 2 * cross / (n * m)
    less_a = (pairs - 2 * within) / ((n - 1) * (n - 2)) - 2 * (cross - rows) / ((n - 1) * m)
    less_b = mean_within - 2 * (cross - columns) / (n * (m - 1))
    return float(value), less_a, less_b
