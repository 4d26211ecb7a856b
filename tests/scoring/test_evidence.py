from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from tsvan.scoring.evidence import MOST_GROUPS, Gap, gaps
from tsvan.scoring.formulas import Array, inception_score, kernel_distance
from tsvan.scoring.measured import Ints, Measured
from tsvan.scoring.metrics import METRICS, Metric

RNG = np.random.default_rng(0)
KERNEL, INCEPTION = METRICS["kernel_distance"], METRICS["inception_score"]
PLAIN = replace(KERNEL, gaps=None)
"""A distance whose gap has no form of its own."""


def of(features: Array, probabilities: Array | None = None) -> Measured:
    p = np.full((len(features), 2), 0.5) if probabilities is None else probabilities
    return Measured(features, p, np.zeros(len(features), dtype=np.int64), 1)


def gap(metric: Metric, broken: Measured, real: Measured, blocks: Ints | None = None) -> Gap:
    return gaps(metric, real, {"static": broken}, np.arange(len(real)) if blocks is None else blocks)["static"]


def halved(broken: Array, real: Array, blocks: Ints) -> float:
    """By the definition: the even blocks against the real clips of the odd ones, and the other way round."""
    even = blocks % 2 == 0
    return float(
        np.mean(
            [
                kernel_distance(broken[side], real[~side]) - kernel_distance(real[side], real[~side])
                for side in (even, ~even)
            ]
        )
    )


@pytest.fixture
def one_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tsvan.scoring.evidence.MOST_HALVINGS", 1)


@pytest.mark.usefixtures("one_halving")
def test_a_distances_gap_is_the_difference_of_the_distances() -> None:
    real, broken = RNG.normal(size=(11, 4)), RNG.normal(0.5, 1, size=(11, 4))
    assert gap(PLAIN, of(broken), of(real)).difference == pytest.approx(halved(broken, real, np.arange(11)))


def test_the_gap_of_the_kernel_distance_pairs_clips_of_different_blocks_only() -> None:
    real, broken = RNG.normal(size=(21, 3)), RNG.normal(0.5, 1, size=(21, 3))
    blocks = np.repeat(np.arange(7), 3)

    def by_the_definition(kept: Array) -> float:
        def k(a: Array, b: Array) -> float:
            return float((a @ b / 3 + 1) ** 3)

        h = [
            k(broken[i], broken[j]) + k(real[i], real[j]) - k(broken[i], real[j]) - k(real[i], broken[j])
            for i in kept
            for j in kept
            if blocks[i] != blocks[j]
        ]
        return float(np.mean(h))

    found = gap(KERNEL, of(broken), of(real), blocks)
    without = np.array([by_the_definition(np.flatnonzero(blocks != block)) for block in range(7)])
    assert found.difference == pytest.approx(by_the_definition(np.arange(21)))
    assert found.standard_error == pytest.approx(np.sqrt(6 / 7 * ((without - without.mean()) ** 2).sum()))


def test_other_halvings_leave_the_gap_as_it_is_but_for_noise() -> None:
    real = RNG.normal(size=(200, 4))
    several = gap(PLAIN, of(real + 0.7), of(real), np.repeat(np.arange(20), 10))
    assert several.difference == pytest.approx(halved(real + 0.7, real, np.repeat(np.arange(20), 10)), rel=0.3)


@pytest.mark.usefixtures("one_halving")
def test_a_distances_error_is_that_of_the_jackknife_over_blocks() -> None:
    # Three windows a block; leaving out one block by hand, where the halves of the others stay as they are.
    real, broken = RNG.normal(size=(24, 3)), RNG.normal(1, 1, size=(24, 3))
    blocks = np.repeat(np.arange(8), 3)
    without = [halved(broken[blocks != b], real[blocks != b], blocks[blocks != b]) for b in range(8)]
    error = np.sqrt(7 / 8 * np.sum((np.array(without) - np.mean(without)) ** 2))
    assert gap(PLAIN, of(broken), of(real), blocks).standard_error == pytest.approx(error)


def _spread(metric: Metric, draw: Mapping[str, int]) -> tuple[float, float]:
    """The mean standard error, and the standard deviation over samples that it estimates."""
    found = []
    for _ in range(draw["samples"]):
        real = np.repeat(RNG.normal(size=(draw["videos"], 4)), draw["windows"], axis=0)
        real = real + RNG.normal(0, 0.2, size=real.shape)  # windows of a video are much alike
        broken = real + RNG.normal(0.5, 0.3, size=real.shape)
        sure, doubtful = (np.exp(2 * x) / np.exp(2 * x).sum(axis=1, keepdims=True) for x in (real, broken / 2))
        blocks = np.repeat(np.arange(draw["videos"]), draw["windows"])
        found.append(gap(metric, of(broken, doubtful), of(real, sure), blocks))
    return float(np.mean([g.standard_error for g in found])), float(np.std([g.difference for g in found], ddof=1))


@pytest.mark.parametrize(("metric", "videos"), [(KERNEL, 30), (PLAIN, 24), (PLAIN, MOST_GROUPS + 8), (INCEPTION, 30)])
def test_the_standard_error_is_the_spread_of_the_gap_over_samples_of_videos(metric: Metric, videos: int) -> None:
    # As if every window counted for itself it would be too small by the square root of the windows of a video.
    error, spread = _spread(metric, {"samples": 20, "videos": videos, "windows": 4})
    assert error == pytest.approx(spread, rel=0.5)


def test_a_gap_is_above_zero_where_copies_are_worse_whichever_way_is_better() -> None:
    real = of(RNG.normal(size=(40, 4)), np.eye(4)[np.arange(40) % 4] * 0.96 + 0.01)
    worse = of(real.features + 1, np.full((40, 4), 0.25))
    for metric in (KERNEL, PLAIN, INCEPTION, METRICS["intra_entropy"]):
        found = gap(metric, worse, real)
        assert found.difference > 0
        assert found.errors > 3
    for metric in (INCEPTION, METRICS["intra_entropy"]):
        assert gap(metric, real, worse).difference < 0
    assert gap(INCEPTION, worse, real).difference == pytest.approx(inception_score(real.probabilities) - 1)


def test_copies_that_are_the_clips_have_no_gap() -> None:
    real = of(RNG.normal(size=(20, 4)), RNG.dirichlet(np.ones(3), size=20))
    for metric in (KERNEL, PLAIN, INCEPTION):
        assert gap(metric, real, real) == Gap(0.0, 0.0)
        assert gap(metric, real, real).errors == 0.0


def test_too_few_blocks_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 6 blocks of clips, got 5"):
        gap(KERNEL, of(np.zeros((5, 2))), of(np.zeros((5, 2))))
    with pytest.raises(ValueError, match="at least 6 blocks"):
        gap(KERNEL, of(np.zeros((7, 2))), of(np.zeros((8, 2))))
