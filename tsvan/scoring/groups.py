"""Sample groups: the latent seeds and labels that every config of a study is scored on.

Supplement A: metrics for tuning are computed "from a group of generated videos", reported ones "from another group".
The groups share no seed because each draws from a range of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tsvan.validation import UserError, nearest

GroupName = Literal["validation", "confirm", "report"]
GROUPS: tuple[GroupName, ...] = get_args(GroupName)

SEEDS_PER_GROUP = 2**32
"""Group number g owns the seeds [g, g + 1) x 2^32."""


@dataclass(frozen=True)
class SampleGroup:
    """A sample group: what to generate.

    Args:
        name: `validation` (a trial's score), `confirm` (ranking the best few) or `report` (final numbers).
        seeds: (N,) int64, one latent seed a clip.
        labels: (N,) int64 in [0, K), every class equally often (up to one clip).
    """

    name: GroupName
    seeds: NDArray[np.int64]
    labels: NDArray[np.int64]

    @property
    def num_clips(self) -> int:
        """Return N, the number of clips."""
        return len(self.seeds)


def group_size(name: str, num_classes: int) -> int:
    """Return the clips in a group by default: report max(900 K, 9,000), the others max(32 K, 1,024).

    Raises:
        UserError: unknown group.
    """
    per_class, at_least = (900, 9_000) if _number(name) == GROUPS.index("report") else (32, 1_024)
    return max(per_class * num_classes, at_least)


def sample_group(name: str, num_classes: int, num_clips: int | None = None) -> SampleGroup:
    """Build the same seeds and labels for every trial; a shorter group is the beginning of a longer one.

    Args:
        name: one of GROUPS.
        num_classes: K.
        num_clips: N; None: `group_size`.

    Raises:
        UserError: unknown group, or N outside [2, 2^32].
    """
    number = _number(name)
    count = group_size(name, num_classes) if num_clips is None else num_clips
    if not 2 <= count <= SEEDS_PER_GROUP:
        raise UserError(f"a sample group needs 2 to {SEEDS_PER_GROUP} clips, got {count} for '{name}'; change its size")
    order = np.arange(count, dtype=np.int64)
    return SampleGroup(GROUPS[number], seeds=number * SEEDS_PER_GROUP + order, labels=order % num_classes)


def _number(name: str) -> int:
    if name not in GROUPS:
        raise UserError(f"unknown sample group '{name}'; {nearest(name, GROUPS)}")
    return GROUPS.index(name)
