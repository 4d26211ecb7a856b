from __future__ import annotations

import numpy as np
import pytest

from tsvan.scoring.kernel_gap import Gap, kernel_gap
from tsvan.scoring.metrics import kernel_distance

RNG = np.random.default_rng(0)


def difference(broken: np.ndarray, real: np.ndarray) -> float:
    """By the definition: both halves against the other's real clips."""
    return float(
        np.mean(
            [
                kernel_distance(broken[side::2], real[1 - side :: 2])
                - kernel_distance(real[side::2], real[1 - side :: 2])
                for side in (0, 1)
            ]
        )
    )


def test_the_gap_is_the_difference_of_the_distances() -> None:
    real, broken = RNG.normal(size=(11, 4)), RNG.normal(0.5, 1, size=(11, 4))
    assert kernel_gap(broken, real).difference == pytest.approx(difference(broken, real))


def test_the_standard_error_is_that_of_the_jackknife() -> None:
    # Leaving out one clip of a half by hand; the halves of the others stay as they are.
    real, broken = RNG.normal(size=(8, 3)), RNG.normal(1, 1, size=(8, 3))
    without = []
    for left_out in range(8):
        total = 0.0
        for side in (0, 1):
            scored = [i for i in range(side, 8, 2) if i != left_out]
            others = [i for i in range(1 - side, 8, 2) if i != left_out]
            for features, sign in ((broken, 0.5), (real, -0.5)):
                total += sign * kernel_distance(features[scored], real[others])
        without.append(total)
    error = np.sqrt(7 / 8 * np.sum((np.array(without) - np.mean(without)) ** 2))
    assert kernel_gap(broken, real).standard_error == pytest.approx(error)


def test_the_standard_error_is_the_spread_of_the_gap_over_samples() -> None:
    gaps = []
    for _ in range(200):
        real = RNG.normal(size=(40, 8))
        gaps.append(kernel_gap(real + RNG.normal(0.4, 0.5, size=(40, 8)), real))
    spread = np.std([gap.difference for gap in gaps], ddof=1)
    assert np.mean([gap.standard_error for gap in gaps]) == pytest.approx(spread, rel=0.2)


def test_copies_have_no_gap_and_shifted_clips_one_of_many_errors() -> None:
    real = RNG.normal(size=(60, 8))
    assert kernel_gap(real, real) == Gap(0.0, 0.0)
    assert kernel_gap(real, real).errors == 0.0
    assert kernel_gap(real + 1, real).errors > 5


def test_too_few_clips_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 6 clips"):
        kernel_gap(np.zeros((5, 2)), np.zeros((5, 2)))
