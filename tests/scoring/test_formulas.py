"""Numbers worked out on paper; the working stands beside each."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import linalg

from tsvan.scoring.formulas import (
    bootstrap_inception_score,
    bootstrap_kernel_distance,
    frechet_distance,
    inception_score,
    inter_entropy,
    intra_entropy,
    kernel_distance,
    label_agreement,
)


def test_sure_and_varied_predictions() -> None:
    # p(y) = (1/2, 1/2): H(y) = ln 2; each clip is certain: H(y|v) = 0; IS = e^(ln 2) = 2.
    p = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert inter_entropy(p) == pytest.approx(math.log(2))
    assert intra_entropy(p) == 0
    assert inception_score(p) == pytest.approx(2)


def test_a_doubtful_and_a_sure_clip() -> None:
    # p(y) = (3/4, 1/4): H(y) = 3/4 ln(4/3) + 1/4 ln 4 = 0.215762 + 0.346574 = 0.562335.
    # H(y|v) = ln 2 and 0, mean 0.346574. IS = e^0.215762 = 1.240806.
    p = np.array([[0.5, 0.5], [1.0, 0.0]])
    assert inter_entropy(p) == pytest.approx(0.562335, abs=1e-6)
    assert intra_entropy(p) == pytest.approx(0.346574, abs=1e-6)
    assert inception_score(p) == pytest.approx(1.240806, abs=1e-6)


def test_equal_predictions_score_one() -> None:
    assert inception_score(np.array([[0.2, 0.3, 0.5]] * 3)) == pytest.approx(1)


def test_label_agreement_reads_the_action_from_person_x_action() -> None:
    # K = 2, three people. Predicted labels 0, 3, 4 are actions 0, 1, 0; asked for 0, 1, 1: 2 of 3.
    p = np.eye(6)[[0, 3, 4]]
    assert label_agreement(p, np.array([0, 1, 1]), num_classes=2) == pytest.approx(2 / 3)


def test_kernel_distance_by_hand() -> None:
    # d = 2. Within a: (1, 1).(1, -1) = 0, k = 1. Within b: (2, 0).(0, 2) = 0, k = 1.
    # Across: dots 2, 2, 2, -2, so k = (2/2 + 1)^3 = 8, 8, 8 and 0, mean 6. 1 + 1 - 2 * 6 = -10.
    a, b = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[2.0, 0.0], [0.0, 2.0]])
    assert kernel_distance(a, b) == pytest.approx(-10)


def test_kernel_distance_of_groups_of_different_sizes_by_hand() -> None:
    # d = 1. Within a = {1, 2}: (2 + 1)^3 = 27. Within b = {0, 1, 2}: 1, 1, 27, mean 29/3.
    # Across: 1, 8, 27 and 1, 27, 125, mean 189/6 = 31.5. 27 + 29/3 - 63 = -79/3.
    a, b = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0], [2.0]])
    assert kernel_distance(a, b) == pytest.approx(-79 / 3)
    assert kernel_distance(b, a) == pytest.approx(-79 / 3)


@pytest.mark.parametrize("block", [1, 3, 2_048])
def test_kernel_distance_equals_the_double_loop(block: int) -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(7, 5)), generator.normal(1, 2, size=(4, 5))
    assert kernel_distance(a, b, block) == pytest.approx(_naive_kernel_distance(a, b))


def _naive_kernel_distance(a: np.ndarray, b: np.ndarray) -> float:
    def k(x: np.ndarray, y: np.ndarray) -> float:
        return (sum(float(i * j) for i, j in zip(x, y, strict=True)) / len(x) + 1) ** 3

    within = [np.mean([k(x, y) for x, y in itertools.permutations(group, 2)]) for group in (a, b)]
    return float(within[0] + within[1] - 2 * np.mean([k(x, y) for x in a for y in b]))


def test_kernel_distance_is_zero_on_average_for_one_distribution_and_positive_for_two() -> None:
    generator = np.random.default_rng(1)
    same = [kernel_distance(*generator.normal(size=(2, 20, 3))) for _ in range(200)]
    assert min(same) < 0 < max(same)
    assert abs(np.mean(same)) < 3 * np.std(same) / math.sqrt(200)
    assert kernel_distance(generator.normal(size=(50, 3)), generator.normal(2, 1, size=(50, 3))) > 10


def test_frechet_distance_by_hand_in_one_dimension() -> None:
    # Means 1 and 5, variances over N - 1: 2 and 8. 16 + 2 + 8 - 2 sqrt(2 * 8) = 18.
    assert frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [7.0]])) == pytest.approx(18)


def test_frechet_distance_by_hand_in_two_dimensions() -> None:
    # a: corners of a square of side 2: mean (1, 1), variances 4/3, no covariance. b: the same, twice as large and moved
    # by (4, 3): mean (6, 5), variances 16/3. |(5, 4)|^2 = 41; 2 * (4/3 + 16/3 - 2 * sqrt(64/9)) = 8/3.
    a = np.array([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    assert frechet_distance(a, 2 * a + [4, 3]) == pytest.approx(41 + 8 / 3)


def test_frechet_distance_equals_the_matrix_square_root() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.normal(size=(40, 6)) @ generator.normal(size=(6, 6)), generator.normal(1, 2, size=(30, 6))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(cov_a + cov_b - 2 * np.real(linalg.sqrtm(cov_a @ cov_b)))
    assert frechet_distance(a, b) == pytest.approx(expected)


def test_frechet_distance_with_fewer_clips_than_dimensions() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.normal(size=(5, 20)), generator.normal(size=(30, 20))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 1) == pytest.approx(20)
    # tr (S_a^1/2 S_b S_a^1/2)^1/2 is the sum of the square roots of the eigenvalues of S_a S_b.
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.linalg.eigvals(cov_a @ cov_b).real.clip(min=0)).sum()
    shift = a.mean(axis=0) - b.mean(axis=0)
    expected = shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2 * roots
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)


def test_distances_name_the_rule_when_the_shapes_are_wrong() -> None:
    for distance in (kernel_distance, frechet_distance):
        with pytest.raises(ValueError, match="N, M >= 2"):
            distance(np.zeros((1, 3)), np.zeros((5, 3)))
        with pytest.raises(ValueError, match=r"\(5, 2\) and \(5, 3\)"):
            distance(np.zeros((5, 2)), np.zeros((5, 3)))


def test_inception_interval_holds_the_score_and_has_no_width_for_equal_clips() -> None:
    p = np.random.default_rng(4).dirichlet(np.full(4, 0.3), size=200)
    low, high = bootstrap_inception_score(p)
    assert low < inception_score(p) < high
    assert high - low < 0.5
    assert bootstrap_inception_score(np.array([[0.3, 0.7]] * 5)) == pytest.approx((1, 1))


def test_kernel_interval_leaves_out_pairs_of_a_clip_with_itself() -> None:
    # Of two clips a resample has either both, which gives the distance itself, or one twice, which has no pair.
    a, b = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[2.0, 0.0], [0.0, 2.0]])
    assert bootstrap_kernel_distance(a, b) == pytest.approx((-10, -10))


def test_kernel_interval_holds_the_distance_and_does_not_depend_on_the_block() -> None:
    generator = np.random.default_rng(5)
    a, b = generator.normal(size=(60, 4)), generator.normal(0.5, 1, size=(40, 4))
    low, high = bootstrap_kernel_distance(a, b)
    assert low < kernel_distance(a, b) < high
    assert bootstrap_kernel_distance(a, b, block=7) == pytest.approx((low, high))
