"""The Pareto front: what nothing else beats in every respect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Direction = Literal["maximize", "minimize"]


def pareto_front(points: ArrayLike, directions: Sequence[Direction]) -> NDArray[np.bool_]:
    """Which points are on the front: no other is at least as good in every criterion and better in one.

    Equal points beat each other in nothing, so both are on the front or neither. A point with a criterion that is not
    finite is not on it, and beats nothing.

    Args:
        points: (N, M), one column a criterion.
        directions: M, which way is better.
    """
    values = np.asarray(points, np.float64).reshape(-1, len(directions))
    values = values * np.where([direction == "maximize" for direction in directions], -1.0, 1.0)  # the lower the better
    known = np.isfinite(values).all(axis=1)
    others = values[known]
    beaten = [bool(((others <= one).all(axis=1) & (others < one).any(axis=1)).any()) for one in values]
    return known & ~np.array(beaten, np.bool_)
