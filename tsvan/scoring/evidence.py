"""How much worse broken copies score than the real clips that they were made from, in standard errors.

A metric that may be resampled (class predictions): paired bootstrap over videos. Any other (distances): delete-a-group
jackknife over videos (Efron and Stein, "The jackknife estimate of variance", 1981), each half of the videos against the
real clips of the other half. A video that is left out or drawn takes its copies with it, so that what they share
cancels, and all its windows, so that these may overlap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from tsvan.scoring.formulas import Array
from tsvan.scoring.measured import Ints, Measured
from tsvan.scoring.metrics import Metric

MIN_ERRORS = 3.0
"""Standard errors by which static and time-shuffled copies must be worse than real clips before a metric may steer."""

MIN_BLOCKS = 6
"""Fewer leave halves of which a block cannot be left out."""

MOST_GROUPS = 32
"""Of blocks that the jackknife leaves out together."""

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
        """The difference in standard errors."""
        if self.standard_error == 0:
            return float(np.copysign(np.inf, self.difference)) if self.difference else 0.0
        return self.difference / self.standard_error


def gaps(metric: Metric, real: Measured, broken: Mapping[str, Measured], blocks: Ints, seed: int = 0) -> dict[str, Gap]:
    """The gap of each kind of broken copies.

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
    generator = np.random.default_rng(seed)
    samples, all_clips = [np.arange(len(blocks))], {"": real, **broken}.items()
    if metric.resampled:
        windows = [np.flatnonzero(blocks == block) for block in range(count)]
        drawn = generator.integers(count, size=(RESAMPLES, count))
        samples += [np.concatenate([windows[block] for block in row]) for row in drawn]
        scored = {kind: _class_values(metric, clips, samples) for kind, clips in all_clips}
    else:
        groups = _groups(count, generator)[blocks]
        samples += [np.flatnonzero(groups != group) for group in range(int(groups.max()) + 1)]
        scored = {
            kind: _distances(metric, clips, real, blocks, samples) for kind, clips in {"": real, **broken}.items()
        }
    sign = 1.0 if metric.direction == "maximize" else -1.0
    return {kind: _gap(sign * (scored[""] - scored[kind]), metric.resampled) for kind in broken}


def _gap(differences: Array, resampled: bool) -> Gap:
    """From the difference of all blocks, and after it those of the resamples, or of all but one group each."""
    whole, others = differences[0], differences[1:]
    spread = others.std(ddof=1) if resampled else np.sqrt((len(others) - 1) * others.var())
    return Gap(float(whole), float(spread))


def _class_values(metric: Metric, clips: Measured, samples: list[Ints]) -> Array:
    return np.array([metric.compute(some, some) for some in (clips[sample] for sample in samples)])


def _distances(metric: Metric, clips: Measured, real: Measured, blocks: Ints, samples: list[Ints]) -> Array:
    """Of each sample: its even blocks against the real clips of its odd ones, and the other way round; the mean."""
    values = []
    for sample in samples:
        halves = [sample[blocks[sample] % 2 == side] for side in (0, 1)]
        values.append(np.mean([metric.compute(clips[halves[side]], real[halves[1 - side]]) for side in (0, 1)]))
    return np.array(values)


def _groups(count: int, generator: np.random.Generator) -> Ints:
    """The group of each block: as many groups as blocks, or MOST_GROUPS of random ones."""
    if count <= MOST_GROUPS:
        return np.arange(count)
    return np.asarray(generator.permutation(count) % MOST_GROUPS)
