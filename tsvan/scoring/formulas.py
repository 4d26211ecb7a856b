"""The formulas behind the metrics: float64, from class probabilities and feature vectors to numbers.

Sources: supplement B.2, equations 1-4 (entropies, Inception Score); the model specification, section 6 (distances).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FRECHET_COMPARABLE_CLIPS = 1_024
"""Below this many clips on either side a Frechet distance is too biased to compare with another."""


def inter_entropy(probabilities: Array) -> float:
    """Compute H(y) in nats (equations 1 and 2): the entropy of the mean prediction.

    Args:
        probabilities: (N, K'), each row sums to 1.
    """
    return float(_entropy(_float64(probabilities).mean(axis=0)))


def intra_entropy(probabilities: Array) -> float:
    """Compute the mean over clips of H(y|v) in nats (equation 3). Args: probabilities (N, K')."""
    return float(_entropy(_float64(probabilities)).mean())


def inception_score(probabilities: Array) -> float:
    """Compute exp(H(y) - mean H(y|v)) (equation 4), between 1 and K'. Args: probabilities (N, K')."""
    return float(np.exp(inter_entropy(probabilities) - intra_entropy(probabilities)))


def label_agreement(probabilities: Array, labels: NDArray[np.int64], num_classes: int) -> float:
    """Compute the share of clips whose predicted action is the one asked for.

    Args:
        probabilities: (N, K').
        labels: (N,) classes asked for.
        num_classes: K. The predicted action is the predicted label mod K, as labels are action + K * person.
    """
    predicted = _float64(probabilities).argmax(axis=1) % num_classes
    return float((predicted == np.asarray(labels)).mean())


def kernel_distance(a: Array, b: Array, block: int = 2_048) -> float:
    """Compute the unbiased U-statistic of the squared MMD with k(x, y) = (x.y / d + 1)^3; it may be negative.

    mean over i != j of k(a_i, a_j) + mean over i != j of k(b_i, b_j) - 2 mean over i, j of k(a_i, b_j).

    Args:
        a, b: (N, d) and (M, d) features, N and M at least 2; d is 512 at full width.
        block: rows of the kernel matrix that are held at once.
    """
    a, b = _pair(a, b)
    within = [(_kernel_sum(x, x, block) - _diagonal(x).sum()) / (len(x) * (len(x) - 1)) for x in (a, b)]
    return float(within[0] + within[1] - 2 * _kernel_sum(a, b, block) / (len(a) * len(b)))


def kernel_gaps(broken: Array, real: Array, blocks: NDArray[np.int64]) -> Array:
    """Compute the kernel distance of clips to their broken copies, of other blocks only: of all, then without each.

    The mean over pairs of clips i, j of different blocks of h = k(b_i, b_j) + k(r_i, r_j) - k(b_i, r_j) - k(r_i, b_j)
    (Gretton et al., "A kernel two-sample test", 2012, equation 4, where a block is a single clip): unbiased, zero for
    copies that are like the clips, though clips of one block are alike.

    Args:
        broken, real: (n, d) features of the copies and of the clips in the same order.
        blocks: (n,) number of each clip's block, 0.. without holes.

    Returns:
        (1 + blocks,).
    """
    broken, real = _pair(broken, real)
    count = int(blocks.max()) + 1
    cross = _kernel(broken, real)
    h = _kernel(broken, broken) + _kernel(real, real) - cross - cross.T  # (n, n)
    member = (blocks[:, None] == np.arange(count)).astype(np.float64)  # (n, blocks)
    sums, pairs = member.T @ h @ member, np.outer(member.sum(axis=0), member.sum(axis=0))
    for matrix in (sums, pairs):
        np.fill_diagonal(matrix, 0)
    without = [(matrix.sum() - 2 * matrix.sum(axis=1)) for matrix in (sums, pairs)]
    return np.concatenate([[sums.sum() / pairs.sum()], without[0] / without[1]])


def frechet_distance(a: Array, b: Array) -> float:
    """Compute |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a^1/2 S_b S_a^1/2)^1/2), S over N - 1; clip negative eigenvalues.

    Args:
        a, b: (N, d) and (M, d) features, N and M at least 2.
    """
    a, b = _pair(a, b)
    shift = a.mean(axis=0) - b.mean(axis=0)
    a, b = ((x - x.mean(axis=0)) / np.sqrt(len(x) - 1) for x in (a, b))  # S = x^T x
    if min(len(a), len(b)) < a.shape[1]:
        cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()  # the same trace, by a smaller matrix
    else:
        values, vectors = np.linalg.eigh(a.T @ a)
        root_a = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
        product = root_a @ (b.T @ b) @ root_a
        cross = np.sqrt(np.linalg.eigvalsh((product + product.T) / 2).clip(min=0)).sum()
    # Zero is the least value of the formula; rounding alone goes below.
    return max(0.0, float(shift @ shift + (a**2).sum() + (b**2).sum() - 2 * cross))


def bootstrap_inception_score(
    probabilities: Array, resamples: int = 1_000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Compute a percentile interval of the Inception Score over clips, for display.

    Args:
        probabilities: (N, K').
        resamples: bootstrap samples of N clips with replacement.
        level: coverage.
        seed: of the resampling.
    """
    p = _float64(probabilities)
    entropies = _entropy(p)

    def scores(counts: Array) -> Array:
        weights = counts / len(p)
        return np.asarray(np.exp(_entropy(weights @ p) - weights @ entropies))

    return _interval(scores, len(p), resamples, level, seed)


def bootstrap_kernel_distance(
    a: Array, b: Array, resamples: int = 500, level: float = 0.95, seed: int = 0, block: int = 2_048
) -> tuple[float, float]:
    """Compute a percentile interval of the kernel distance over the clips of `a`, for display; `b` stays as it is.

    A clip that is drawn twice is not paired with itself: such pairs would add k(x, x) and bias every resample upward.

    Args:
        a: (N, d) features of the scored clips.
        b: (M, d) features of the reference.
        resamples: bootstrap samples of N clips with replacement.
        level: coverage.
        seed: of the resampling.
        block: rows of the kernel matrix that are held at once.
    """
    a, b = _pair(a, b)
    within_b = (_kernel_sum(b, b, block) - _diagonal(b).sum()) / (len(b) * (len(b) - 1))
    cross = _over_blocks(a, block, lambda rows: _kernel(rows, b).mean(axis=1))
    diagonal = _diagonal(a)

    def distances(counts: Array) -> Array:
        total = np.zeros(len(counts))
        for start in range(0, len(a), block):
            rows = slice(start, start + block)
            total += ((counts @ _kernel(a, a[rows])) * counts[:, rows]).sum(axis=1)
        squares = counts**2
        pairs = len(a) ** 2 - squares.sum(axis=1)
        # A resample of one clip only, N times, has no pairs: leave it out of the percentiles.
        within_a = np.divide(total - squares @ diagonal, pairs, out=np.full(len(counts), np.nan), where=pairs > 0)
        return np.asarray(within_a + within_b - 2 * counts @ cross / len(a))

    return _interval(distances, len(a), resamples, level, seed)


def _interval(
    statistic: Callable[[Array], Array], count: int, resamples: int, level: float, seed: int
) -> tuple[float, float]:
    """Compute the percentile interval; `statistic` maps (R, N) counts of each clip in each resample to (R,) values."""
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
    tail = (1 - level) / 2
    low, high = np.nanquantile(statistic(counts), [tail, 1 - tail])
    return float(low), float(high)


def _entropy(p: Array) -> Array:
    """Compute the entropy over the last axis, in nats; 0 log 0 = 0."""
    logs = np.log(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(-(p * logs).sum(axis=-1))


def _kernel(a: Array, b: Array) -> Array:
    base = a @ b.T / a.shape[1] + 1
    return np.asarray(base * base * base)  # numpy's ** 3 is a call of pow() for each element


def _diagonal(a: Array) -> Array:
    """Compute k(a_i, a_i) of features (N, d): (N,)."""
    return np.asarray(((a**2).sum(axis=1) / a.shape[1] + 1) ** 3)


def _kernel_sum(a: Array, b: Array, block: int) -> float:
    return float(_over_blocks(a, block, lambda rows: _kernel(rows, b).sum(axis=1)).sum())


def _over_blocks(a: Array, block: int, function: Callable[[Array], Array]) -> Array:
    return np.concatenate([function(a[start : start + block]) for start in range(0, len(a), block)])


def _pair(a: Array, b: Array) -> tuple[Array, Array]:
    a, b = _float64(a), _float64(b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ValueError(f"a distance needs features (N, d) and (M, d) with N, M >= 2, got {a.shape} and {b.shape}")
    return a, b


def _float64(values: Any) -> Array:
    return np.asarray(values, dtype=np.float64)
