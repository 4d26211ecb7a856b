"""The metrics, each an entry: its title, its direction, whether it may be resampled, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tsvan.scoring import formulas
from tsvan.scoring.formulas import Array
from tsvan.scoring.measured import Ints, Measured

Direction = Literal["maximize", "minimize"]
Needs = Literal["classes", "i3d", "clips"]


@dataclass(frozen=True)
class Metric:
    """A metric: what it is called, which way is better, and how it is computed.

    Args:
        title: one line for tables.
        direction: which way is better.
        compute: (generated clips, real clips) -> the value; of a metric of the predicted classes the real ones are
            not looked at. Never called with clips that gave numbers that are not finite.
        resampled: whether clips may count twice, as in a bootstrap. A distance between clips may not be resampled: a
            clip and its double are too near each other.
        needs: `classes`: two classes or more that clips are asked for; `i3d`: features of the I3D file; `clips`: the
            clips themselves, which are kept in memory then.
        gaps: of a metric that has a form of its own for how much worse broken copies are than their clips: (copies,
            clips, blocks) -> the difference of all blocks and then without each (see `evidence.gaps`).
        source: hash of the code of a metric of the user's own.
    """

    title: str
    direction: Direction
    compute: Callable[[Measured, Measured], float]
    resampled: bool = False
    needs: Needs | None = None
    gaps: Callable[[Measured, Measured, Ints], Array] | None = None
    source: str = ""

    def better(self, one: float, other: float) -> bool:
        """Tell whether `one` is strictly better than `other`; NaN is never better."""
        return one > other if self.direction == "maximize" else one < other

    def missing(self, num_classes: int, i3d: bool) -> str | None:
        """Tell why the metric is not measured, or return None.

        Args:
            num_classes: K, the classes that networks are asked for.
            i3d: whether there is an I3D file.
        """
        if self.needs == "classes" and num_classes == 1:
            return "there is a single class"
        return "there is no I3D file" if self.needs == "i3d" and not i3d else None


def _inception_score(generated: Measured, real: Measured) -> float:
    return formulas.inception_score(generated.probabilities)


def _inter_entropy(generated: Measured, real: Measured) -> float:
    return formulas.inter_entropy(generated.probabilities)


def _intra_entropy(generated: Measured, real: Measured) -> float:
    return formulas.intra_entropy(generated.probabilities)


def _label_agreement(generated: Measured, real: Measured) -> float:
    return formulas.label_agreement(generated.probabilities, generated.labels, generated.num_classes)


def _kernel_distance(generated: Measured, real: Measured) -> float:
    return formulas.kernel_distance(generated.features, real.features)


def _kernel_gaps(broken: Measured, real: Measured, blocks: Ints) -> Array:
    return formulas.kernel_gaps(broken.features, real.features, blocks)


def _frechet_distance(generated: Measured, real: Measured) -> float:
    return formulas.frechet_distance(generated.features, real.features)


def _fvd_i3d(generated: Measured, real: Measured) -> float:
    assert generated.i3d is not None
    assert real.i3d is not None
    return formulas.frechet_distance(generated.i3d, real.i3d)


METRICS: dict[str, Metric] = {
    "inception_score": Metric(
        "exp(H(y) - mean H(y|v)); clear and varied classes", "maximize", _inception_score, resampled=True
    ),
    "inter_entropy": Metric(
        "H(y) in nats; variety of the predicted classes", "maximize", _inter_entropy, resampled=True
    ),
    "intra_entropy": Metric(
        "mean H(y|v) in nats; doubt about a clip's class", "minimize", _intra_entropy, resampled=True
    ),
    "label_agreement": Metric(
        "share of clips that show the action they were asked for",
        "maximize",
        _label_agreement,
        resampled=True,
        needs="classes",
    ),
    "kernel_distance": Metric(
        "unbiased squared MMD to real clips; may be negative", "minimize", _kernel_distance, gaps=_kernel_gaps
    ),
    "frechet_distance": Metric(
        "Frechet distance to real clips on this scorer's features", "minimize", _frechet_distance
    ),
    "fvd_i3d": Metric(
        "Frechet distance on the features of the I3D file that was given", "minimize", _fvd_i3d, needs="i3d"
    ),
}


DIRECTIONS: dict[str, Direction] = {name: metric.direction for name, metric in METRICS.items()}
"""Which way is better of each metric that ships."""


def measured_metrics(num_classes: int, i3d: bool, metrics: Mapping[str, Metric] = METRICS) -> dict[str, Metric]:
    """Return the metrics that can be measured.

    Args:
        num_classes: K, the classes that networks are asked for.
        i3d: whether there is an I3D file.
        metrics: of which.
    """
    return {name: metric for name, metric in metrics.items() if metric.missing(num_classes, i3d) is None}


def values(metrics: Mapping[str, Metric], generated: Measured, real: Measured) -> dict[str, float]:
    """Compute each metric of some clips; all are NaN when a clip gave numbers that are not finite."""
    finite = generated.finite
    return {name: metric.compute(generated, real) if finite else np.nan for name, metric in metrics.items()}
