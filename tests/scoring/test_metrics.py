from __future__ import annotations

import math

import numpy as np
import pytest

from tsvan.scoring.measured import Measured
from tsvan.scoring.metrics import METRICS, Metric, measured_metrics, values

RNG = np.random.default_rng(0)


def clips(count: int, *, i3d: bool = False, num_classes: int = 2) -> Measured:
    probabilities = RNG.dirichlet(np.ones(4), size=count)
    features = RNG.normal(size=(count, 3))
    return Measured(features, probabilities, np.arange(count) % num_classes, num_classes, features if i3d else None)


def test_better_follows_the_direction_and_nan_is_never_better() -> None:
    assert METRICS["inception_score"].better(2, 1)
    assert not METRICS["inception_score"].better(1, 1)
    assert METRICS["kernel_distance"].better(-1, 0)
    assert not METRICS["kernel_distance"].better(0, -1)
    assert not METRICS["kernel_distance"].better(math.nan, 0)
    assert not METRICS["kernel_distance"].better(0, math.nan)


@pytest.mark.parametrize("name", METRICS)
def test_every_entry_says_what_it_is_and_is_computed_by_itself(name: str) -> None:
    metric = METRICS[name]
    assert metric.title
    assert metric.direction in ("maximize", "minimize")
    assert math.isfinite(metric.compute(clips(8, i3d=True), clips(6, i3d=True)))


def test_metrics_of_predicted_classes_may_be_resampled_and_distances_may_not() -> None:
    generated = clips(10)
    for name, metric in METRICS.items():
        of_classes = name in ("inception_score", "inter_entropy", "intra_entropy", "label_agreement")
        assert metric.resampled == of_classes
        if of_classes:  # such a one does not look at the real clips
            assert metric.compute(generated, clips(4)) == metric.compute(generated, clips(5))


def test_what_cannot_be_measured_says_why() -> None:
    assert METRICS["label_agreement"].missing(1, True) == "there is a single class"
    assert METRICS["fvd_i3d"].missing(4, False) == "there is no I3D file"
    assert set(METRICS) - set(measured_metrics(1, False)) == {"label_agreement", "fvd_i3d"}
    assert set(measured_metrics(2, True)) == set(METRICS)


def test_clips_that_are_not_finite_are_nan_and_never_computed() -> None:
    broken = clips(4)
    broken.features[0, 0] = np.inf

    def never(generated: Measured, real: Measured) -> float:
        pytest.fail("computed")

    found = values({"mine": Metric("mine", "minimize", never)}, broken, clips(4))
    assert math.isnan(found["mine"])


def test_an_index_takes_clips_with_all_that_is_known_of_them() -> None:
    some = clips(6, i3d=True)[np.array([4, 4, 1])]
    assert len(some) == 3
    assert some.labels.tolist() == [0, 0, 1]
    assert some.i3d is not None
    assert np.array_equal(some.i3d, some.features)
    assert some.clips is None
