"""Can a metric tell real clips from broken ones? Scores of real, static, time-shuffled and noise clips.

A metric that does not rank static and shuffled clips below real ones is refused as an objective (model specification,
section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tsvan.scoring.kernel_gap import Gap
from tsvan.scoring.metrics import METRICS
from tsvan.validation import UserError, nearest

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
        gaps: for static and shuffled clips, how much further than the clips themselves they are in kernel distance;
            empty when there are too few clips for a standard error.
    """

    rows: dict[str, dict[str, float]]
    num_clips: int
    num_distance_clips: int
    scorer_hash: str
    gaps: dict[str, Gap]

    def refuses(self, metric: str) -> str | None:
        """Why a metric cannot be an objective with this scorer, or None.

        Raises:
            UserError: unknown metric.
        """
        return refusal(metric, self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, with each metric's refusal."""
        return {**asdict(self), "refusals": {metric: self.refuses(metric) for metric in self.rows["real"]}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sensitivity:
        """What `to_dict` gave."""
        plain = {name: value for name, value in values.items() if name not in ("refusals", "gaps")}
        return cls(**plain, gaps={kind: Gap(**gap) for kind, gap in values["gaps"].items()})


def refusal(metric: str, rows: Mapping[str, Mapping[str, float]]) -> str | None:
    """Why a metric cannot be an objective, given its value for each kind of clips; None when it can.

    Raises:
        UserError: unknown metric.
    """
    if metric not in METRICS:
        raise UserError(f"unknown metric '{metric}'; {nearest(metric, METRICS)}")
    if metric not in rows["real"]:
        need = "a single class" if METRICS[metric].needs_classes else "no I3D file"
        return f"{metric} is not measured: there is {need}"
    better = METRICS[metric].better
    real = rows["real"][metric]
    confused = [kind for kind in MUST_BE_BELOW_REAL if not better(real, rows[kind][metric])]
    if not confused:
        return None
    found = ", ".join(f"{kind} {rows[kind][metric]:.4g}" for kind in confused)
    side = "higher" if METRICS[metric].direction == "maximize" else "lower"
    return (
        f"{metric} does not rank {' and '.join(confused)} clips below real ones: real {real:.4g}, {found} "
        f"({side} is better)"
    )


def spoilers(seed: int = 0) -> dict[str, Callable[[Tensor, int], Tensor]]:
    """For each kind: (clips (B, 3, T, H, W), index of the first clip) -> clips of that kind."""
    return {
        "real": lambda clips, _: clips,
        "static": lambda clips, _: clips[:, :, :1].expand_as(clips),
        "shuffled": lambda clips, first: _shuffled(clips, first, seed),
        "noise": lambda clips, first: _noise(clips, first, seed),
    }


def _shuffled(clips: Tensor, first: int, seed: int) -> Tensor:
    """Frames in a random order of each clip's own, never the true one."""
    return torch.stack([clip[:, _order(clip.shape[1], seed, first + i)] for i, clip in enumerate(clips)])


def _order(num_frames: int, seed: int, index: int) -> Tensor:
    generator = np.random.default_rng([seed, _SHUFFLE, index])
    while True:
        order = generator.permutation(num_frames)
        if (order != np.arange(num_frames)).any():
            return torch.from_numpy(order)


def _noise(clips: Tensor, first: int, seed: int) -> Tensor:
    """Each pixel uniform in [-1, 1]."""
    generator = np.random.default_rng([seed, _NOISE, first])
    noise = generator.random(tuple(clips.shape), dtype=np.float32) * 2 - 1
    return torch.from_numpy(noise).to(clips.device)
