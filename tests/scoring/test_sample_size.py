from __future__ import annotations

import json

import numpy as np
import pytest

from tsvan.scoring.measured import Measured
from tsvan.scoring.metrics import measured_metrics
from tsvan.scoring.sample_size import Growth, grow, growth_sizes

RNG = np.random.default_rng(0)
LABELS = np.arange(100) % 10
REAL = Measured(RNG.normal(size=(100, 4)), np.eye(10)[LABELS], LABELS, 10)
KNOWN = measured_metrics(10, i3d=False)


def test_sizes_rise_beyond_the_marked_ones() -> None:
    assert growth_sizes([1_024, 9_000]) == (16, 64, 256, 1_024, 4_096, 9_000, 16_384)
    assert growth_sizes([8, 12]) == (8, 12, 16)


def test_the_inception_score_grows_towards_the_number_of_classes() -> None:
    # Certain predictions, ten classes: the score of N clips is the exponential of the entropy of N draws of ten.
    growth = grow(REAL, KNOWN, (16, 64, 4_096), "hash")
    means = [growth.values["inception_score"][str(size)][0] for size in growth.sizes]
    assert means[0] < means[1] < means[2] < 10
    assert means[2] == pytest.approx(10, abs=0.05)
    draws = [np.bincount(RNG.choice(10, 16), minlength=10) / 16 for _ in range(2_000)]
    expected = np.mean([np.exp(-sum(p * np.log(p) for p in draw if p > 0)) for draw in draws])
    assert means[0] == pytest.approx(expected, abs=0.6)


def test_distances_end_where_the_held_out_clips_end() -> None:
    growth = grow(REAL, KNOWN, (16, 50, 64), "hash")
    assert set(growth.values["kernel_distance"]) == {"16"}  # 50 are all of the half: no draw is left to make
    assert set(growth.values["inception_score"]) == {"16", "50", "64"}
    mean, deviation = growth.values["kernel_distance"]["16"]
    assert abs(mean) < deviation  # unbiased: zero for clips of the same kind


def test_the_same_draws_every_time_and_back_from_json() -> None:
    growth = grow(REAL, KNOWN, (16,), "hash")
    assert grow(REAL, KNOWN, (16,), "hash") == growth
    assert Growth.from_dict(json.loads(json.dumps(growth.to_dict()))) == growth
