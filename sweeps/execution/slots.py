"""How many jobs run at a time, and what each gets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slots:
    """The shares of a cluster: how many jobs run at a time, and what each gets.

    Args:
        workers: jobs at a time.
        cpus: cores of each.
        gpus: GPUs of each, or a fraction of one.
    """

    workers: int
    cpus: int
    gpus: float
