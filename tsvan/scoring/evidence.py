"""How much worse broken copies score than the real clips that they were made from, in standard errors.

A metric that may be resampled (class predictions): paired bootstrap over videos. Any other (distances): jackknife over
videos (Efron and Stein, "The jackknife estimate of variance", 1981), each half of the videos against the real clips of
the other half, averaged over several ways to halve them. A video that is left out or drawn takes its copies with it, so
that what they share cancels, and all its windows, so that these may overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tsvan.scoring.formulas import Array
from tsvan.scoring.measured import Ints, Measured
from tsvan.scoring.metrics import Metric

MIN_ERRORS = 3.0
"""Standard errors by which static and time-shuffled copies must be worse than real clips before a metric may steer."""

MIN_BLOCKS = 6
"""Fewer leave halves of which a block cannot be left out."""

MOST_GROUPS = 32
"""Of blocks that the jackknife leaves out together, where it is done by computing the metric again."""

MOST_HALVINGS = 8

RESAMPLES = 400


@dataclass(frozen=True)
class Gap:
    """How much worse broken copies score by one metric; above zero: worse, whichever way is better.

    Args:
        difference: of the scores, in the metric's units.
        standard_error: of the difference.
    """

    difference: float
    standard_error: float

    @property
    def errors(self) -> float:
        """Return the difference in standard errors."""
        if self.standard_error == 0:
            return float(np.copysign(np.inf, self.difference)) if self.difference else 0.0
        return self.difference / self.standard_error


def gaps(metric: Metric, real: Measured, broken: Mapping[str, Measured], blocks: Ints, seed: int = 0) -> dict[str, Gap]:
    """Compute the gap of each kind of broken copies.

    Args:
        metric: by which.
        real: windows of held-out clips.
        broken: kind -> the copies of the same windows in the same order.
        blocks: (n,) number of the block, 0.. without holes, that each window is of: windows of different blocks are
            independent. Even and odd blocks are the halves of which one is the other's reference.
        seed: of resamples and groups.

    Raises:
        ValueError: copies of other windows, or too few blocks.
    """
    count = int(blocks.max()) + 1 if len(blocks) else 0
    if count < MIN_BLOCKS or any(len(copies) != len(real) for copies in broken.values()):
        raise ValueError(f"a gap needs the copies of at least {MIN_BLOCKS} blocks of clips, got {count}")
    if metric.needs != "clips":  # they need not be copied with each sample
        real, broken = replace(real, clips=None), {kind: replace(some, clips=None) for kind, some in broken.items()}
    if metric.gaps is not None:
        return {kind: _gap(metric.gaps(copies, real, blocks), False) for kind, copies in broken.items()}
    generator = np.random.default_rng(seed)
    scored_of = _resampled if metric.resampled else _halved
    scored = scored_of(metric, [real, *broken.values()], blocks, generator)
    sign = 1.0 if metric.direction == "maximize" else -1.0
    return {
        kind: _gap(sign * (scored[0] - row), metric.resampled) for kind, row in zip(broken, scored[1:], strict=True)
    }


def _gap(differences: Array, resampled: bool) -> Gap:
    """Build the gap from the difference of all blocks, then those of the resamples, or of all but one group each."""
    whole, others = differences[0], differences[1:]
    spread = others.std(ddof=1) if resampled else np.sqrt((len(others) - 1) * others.var())
    return Gap(float(whole), float(spread))


def _resampled(metric: Metric, kinds: list[Measured], blocks: Ints, generator: np.random.Generator) -> Array:
    """Score (kinds, 1 + RESAMPLES): all clips, and blocks drawn with replacement, the same ones for each kind."""
    count = int(blocks.max()) + 1
    windows = [np.flatnonzero(blocks == block) for block in range(count)]
    drawn = generator.integers(count, size=(RESAMPLES, count))
    samples = [np.arange(len(blocks)), *(np.concatenate([windows[block] for block in row]) for row in drawn)]
    return np.array([[metric.compute(some, some) for some in (kind[s] for s in samples)] for kind in kinds])


def _halved(metric: Metric, kinds: list[Measured], blocks: Ints, generator: np.random.Generator) -> Array:
    """Measure (kinds, 1 + groups): the distance of one half's clips to the other half's real clips, the first of the
    kinds; of all blocks, and without each group of them."""
    count = int(blocks.max()) + 1
    groups = _groups(count, generator)[blocks]
    samples = [groups != group for group in range(-1, int(groups.max()) + 1)]  # no group has the number -1
    ways = max(1, min(MOST_HALVINGS, 256 // count))
    # Blocks 2n and 2n + 1 are alike; the first way to halve is as they come, the others swap some of them.
    swaps = generator.integers(2, size=(ways, (count + 1) // 2)) * (np.arange(ways) > 0)[:, None]
    halves = [(blocks + swap[blocks // 2]) % 2 for swap in swaps]

    def distance(clips: Measured, sample: NDArray[np.bool_]) -> float:
        pairs = [(sample & (half == side), sample & (half != side)) for half in halves for side in (0, 1)]
        found = [metric.compute(clips[np.flatnonzero(a)], kinds[0][np.flatnonzero(b)]) for a, b in pairs]
        return float(np.mean(found))

    return np.array([[distance(clips, sample) for sample in samples] for clips in kinds])


def _groups(count: int, generator: np.random.Generator) -> Ints:
    """Return the group of each block: as many groups as blocks, or MOST_GROUPS of random ones."""
    if count <= MOST_GROUPS:
        return np.arange(count)
    return np.asarray(generator.permutation(count) % MOST_GROUPS)
