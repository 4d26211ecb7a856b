"""Can a metric tell real clips from broken ones? Scores of real, static, time-shuffled and noise clips.

A metric may be an objective only if static and shuffled copies of real clips score worse than the clips themselves by
`MIN_ERRORS` standard errors each (model specification, section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsvan.scoring.evidence import MIN_BLOCKS, MIN_ERRORS, Gap

KINDS = ("real", "static", "shuffled", "noise")
MUST_BE_BELOW_REAL = ("static", "shuffled")
_SHUFFLE, _NOISE = 0, 1


@dataclass(frozen=True)
class Sensitivity:
    """How the metrics rank clips whose rank is known.

    Args:
        rows: kind of clips -> metric -> value; `real` is an upper bound.
        num_clips: held-out clips behind each row.
        num_distance_clips: clips on either side of a distance: it is the mean of two, one half of the clips against the
            real clips of the other half, and the other way round.
        scorer_hash: the scorer's.
        gaps: metric -> kind -> how much worse its copies of real clips are; empty when there are too few clips for a
            standard error.
        num_blocks: independent parts of the held-out clips behind the gaps.
        unit: what such a part is: a `video`, or a `stretch` of one.
        missing: metric -> why it is not measured.
    """

    rows: dict[str, dict[str, float]]
    num_clips: int
    num_distance_clips: int
    scorer_hash: str
    gaps: dict[str, dict[str, Gap]]
    num_blocks: int
    unit: str
    missing: dict[str, str]

    def evidence(self, metric: str) -> float:
        """Return the smaller of the two gaps in standard errors; -infinity without gaps."""
        found = self.gaps.get(metric, {})
        errors = [found[kind].errors if kind in found else -np.inf for kind in MUST_BE_BELOW_REAL]
        return float(np.nan_to_num(min(errors), nan=-np.inf))

    def refuses(self, metric: str) -> str | None:
        """Tell why a metric cannot be an objective with this scorer, or return None.

        Raises:
            KeyError: an unknown metric.
        """
        if metric not in self.rows["real"]:
            return f"{metric} is not measured: {self.missing[metric]}"
        if self.evidence(metric) >= MIN_ERRORS:
            return None
        if metric not in self.gaps:
            return (
                f"{metric} cannot be tested: {self.num_blocks} held-out {self.unit}"
                f"{'' if self.num_blocks == 1 else 's' if self.unit == 'video' else 'es'}, {MIN_BLOCKS} are needed"
            )
        return f"{metric} does not tell broken clips from real ones: {self.describe(metric)}, {MIN_ERRORS:g} are needed"

    def describe(self, metric: str) -> str:
        """Tell how much worse broken clips are by a metric, in words."""
        if metric not in self.gaps:
            return "not tested"
        errors = " and ".join(f"{self.gaps[metric][kind].errors:.1f} ({kind})" for kind in MUST_BE_BELOW_REAL)
        return f"broken clips are worse by {errors} standard errors"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, with each metric's refusal."""
        return {**asdict(self), "refusals": {metric: self.refuses(metric) for metric in self.rows["real"]}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sensitivity:
        """Build the table that `to_dict` gave."""
        plain = {name: value for name, value in values.items() if name not in ("refusals", "gaps")}
        gaps = {metric: {kind: Gap(**gap) for kind, gap in found.items()} for metric, found in values["gaps"].items()}
        return cls(**plain, gaps=gaps)


def spoilers(seed: int = 0) -> dict[str, Callable[[Tensor, int], Tensor]]:
    """Return for each kind: (clips (B, 3, T, H, W), index of the first clip) -> clips of that kind."""
    return {
        "real": lambda clips, _: clips,
        "static": lambda clips, _: clips[:, :, :1].expand_as(clips),
        "shuffled": lambda clips, first: _shuffled(clips, first, seed),
        "noise": lambda clips, first: _noise(clips, first, seed),
    }


def _shuffled(clips: Tensor, first: int, seed: int) -> Tensor:
    """Put frames into a random order of each clip's own, never the true one."""
    return torch.stack([clip[:, _order(clip.shape[1], seed, first + i)] for i, clip in enumerate(clips)])


def _order(num_frames: int, seed: int, index: int) -> Tensor:
    generator = np.random.default_rng([seed, _SHUFFLE, index])
    while True:
        order = generator.permutation(num_frames)
        if (order != np.arange(num_frames)).any():
            return torch.from_numpy(order)


def _noise(clips: Tensor, first: int, seed: int) -> Tensor:
    """Draw each pixel uniformly in [-1, 1]."""
    generator = np.random.default_rng([seed, _NOISE, first])
    noise = generator.random(tuple(clips.shape), dtype=np.float32) * 2 - 1
    return torch.from_numpy(noise).to(clips.device)
