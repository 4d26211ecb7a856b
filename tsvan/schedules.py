"""What changes over a run: step kinds, scheduled sampling, ramps, and the balance of updates. Pure, without torch.

Iterations of the joint phase count i = 1..N, those of pre-training 1..P. Every knot is a share of the length, so
another budget scales them all (section A, and the released runs' 150,000 and 400,000 of 500,000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tsvan.config import LossConfig, ScheduleConfig

StepKind = Literal["content", "one_step", "sequence"]
KINDS: tuple[StepKind, ...] = ("content", "one_step", "sequence")


def ramp(position: float, start: float, end: float, low: float, high: float) -> float:
    """Compute a ramp's value: `low` up to `start`, linear to `high` at `end`, then `high`."""
    if position <= start:
        return low
    if position >= end:
        return high
    return low + (high - low) * (position - start) / (end - start)


def sequence_share(iteration: int, schedule: ScheduleConfig) -> float:
    """Compute P(sequence | motion step), 0.1 -> 0.9 over 0..0.3 N."""
    knot = schedule.ramp_start * schedule.iterations
    return ramp(iteration, 0, knot, schedule.sequence_share_start, schedule.sequence_share_end)


def teacher_share(iteration: int, schedule: ScheduleConfig) -> float:
    """Compute epsilon of scheduled sampling: 1 until 0.3 N, linear to 0 at 0.8 N."""
    n = schedule.iterations
    return ramp(iteration, schedule.ramp_start * n, schedule.ramp_end * n, 1.0, 0.0)


def lambda5(iteration: int, schedule: ScheduleConfig, loss: LossConfig) -> float:
    """Compute the weight of the sequence step's motion KL: lower until 0.3 N, linear to upper at 0.8 N."""
    n = schedule.iterations
    return ramp(iteration, schedule.ramp_start * n, schedule.ramp_end * n, loss.lambda5_lower, loss.lambda5_upper)


def pretrain_lambda2(iteration: int, schedule: ScheduleConfig, loss: LossConfig) -> float:
    """Compute the weight of the content KL in pre-training: 0 -> lambda2 over its first third."""
    return ramp(iteration, 0, schedule.pretrain_ramp * schedule.pretrain_iterations, 0.0, loss.lambda2)


def step_plan(seed: int, schedule: ScheduleConfig) -> NDArray[np.int8]:
    """Draw the kind of every joint iteration, once for the run: entry i - 1 indexes `KINDS`.

    A kind that the draw left out (short budgets) takes one iteration from the most frequent kind, so that every kind
    that has a positive probability occurs.

    Args:
        seed: of the run.

    Returns:
        (N,) int8.
    """
    rng = np.random.default_rng([seed, 0x5C4ED])
    n = schedule.iterations
    content = rng.random(n) < schedule.content_share
    knot = max(schedule.ramp_start * n, 1e-9)
    progress = np.minimum(np.arange(1, n + 1) / knot, 1.0)
    low, high = schedule.sequence_share_start, schedule.sequence_share_end
    sequence = rng.random(n) < low + (high - low) * progress
    plan = np.where(content, 0, np.where(sequence, 2, 1)).astype(np.int8)
    for kind, possible in enumerate(_possible(schedule)):
        if possible and not (plan == kind).any():
            donor = int(np.bincount(plan, minlength=3).argmax())
            plan[rng.choice(np.flatnonzero(plan == donor))] = kind
    return plan


def _possible(schedule: ScheduleConfig) -> tuple[bool, bool, bool]:
    motion = schedule.content_share < 1
    shares = (schedule.sequence_share_start, schedule.sequence_share_end)
    return schedule.content_share > 0, motion and min(shares) < 1, motion and max(shares) > 0


@dataclass(frozen=True)
class Gate:
    """Which sides of an adversarial pair are updated."""

    discriminator: bool
    decoder: bool


OPEN = Gate(discriminator=True, decoder=True)


def balance(real: float, fake: float, target: float, margin: float) -> Gate:
    """Skip the discriminator when it is too good, the decoder when the discriminator is too bad; never both.

    Args:
        real: r, the discriminator's adversarial loss on real input.
        fake: f, its mean adversarial loss on generated input.
        target: loss of an undecided discriminator, 0.68.
        margin: m.
    """
    skip_discriminator = min(real, fake) < target - margin
    skip_decoder = max(real, fake) > target + margin
    if skip_discriminator and skip_decoder:
        return OPEN
    return Gate(discriminator=not skip_discriminator, decoder=not skip_decoder)
