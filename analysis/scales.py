"""Where a value of a setting lies in a picture: numbers by size, choices one beside the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from numpy.typing import NDArray

from analysis.ranking import completed
from analysis.reading import Study


@dataclass(frozen=True)
class Scale:
    """A setting's axis.

    Args:
        low, high: ends of a range.
        log: the range is even in its logarithm.
        choices: in place of a range.
    """

    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[Any, ...] | None = None

    def places(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """On an axis: the numbers themselves, or the places of the choices."""
        if self.choices is None:
            return np.array([np.nan if value is None else float(value) for value in values], np.float64)
        return np.array([self.choices.index(v) if v in self.choices else np.nan for v in values], np.float64)

    def share(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """From 0 at the low end to 1 at the high one; a single choice lies in the middle."""
        return self.share_of(self.places(values))

    def share_of(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of places on an axis."""
        if self.choices is not None:
            last = len(self.choices) - 1
            return places / last if last else places * 0 + 0.5
        low, high = self.low, self.high
        if self.log:
            low, high, places = np.log(low), np.log(high), np.log(places)
        return np.clip((places - low) / (high - low), 0, 1) if high > low else places * 0 + 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """(share, text): the choices, or the ends and the middle of a range."""
        if self.choices is not None:
            return [(float(self.share([choice])[0]), str(choice)) for choice in self.choices]
        if self.high <= self.low:
            return [(0.5, f"{self.low:.4g}")]
        middle = (self.low * self.high) ** 0.5 if self.log else (self.low + self.high) / 2
        return [(0.0, f"{self.low:.4g}"), (0.5, f"{middle:.4g}"), (1.0, f"{self.high:.4g}")]

    def label_x(self, axes: Axes) -> None:
        """Set up the horizontal axis of a picture."""
        self._label(axes.xaxis, axes.set_xlim, axes.set_xscale)

    def label_y(self, axes: Axes) -> None:
        """Set up the vertical axis of a picture."""
        self._label(axes.yaxis, axes.set_ylim, axes.set_yscale)

    def _label(self, axis: Axis, limit: Callable[..., Any], rescale: Callable[..., Any]) -> None:
        if self.choices is not None:
            axis.set_ticks(range(len(self.choices)), [str(choice) for choice in self.choices])
            limit(-0.5, len(self.choices) - 0.5)
        elif self.high > self.low:
            if self.log:
                rescale("log")
                limit(self.low / 1.05, self.high * 1.05)
            else:
                margin = 0.05 * (self.high - self.low)
                limit(self.low - margin, self.high + margin)


def scale_of(study: Study, name: str) -> Scale:
    """The scale of a setting over its prior; of `score`, over the complete trials."""
    if name == "score":
        low, high = _ends(study)
        return Scale(low, high)
    prior = study.config.space[name]
    if prior.values is not None:
        return Scale(choices=tuple(prior.values))
    assert prior.low is not None
    assert prior.high is not None
    return Scale(float(prior.low), float(prior.high), prior.log)


def score_limits(study: Study) -> tuple[float, float]:
    """Ends of a score axis: what complete trials span, with a margin. One that diverged must not squash the others."""
    low, high = _ends(study)
    margin = 0.15 * (high - low) or max(abs(high), 1e-3) * 0.05
    return low - margin, high + margin


def _ends(study: Study) -> tuple[float, float]:
    scores = completed(study)["score"].astype(float)
    if scores.empty:
        scores = study.trials["score"].astype(float).dropna()
    return (float(scores.min()), float(scores.max())) if len(scores) else (0.0, 1.0)
