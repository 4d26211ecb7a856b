from __future__ import annotations

import numpy as np
import pytest

from benchmarks.confirming import FAMILIES, landscape, random_points, regrets
from sweeps.config.load import load


@pytest.mark.parametrize("family", FAMILIES)
def test_a_landscape_has_spread_one_and_no_score_above_its_best(family: str) -> None:
    config = load("weizmann")[0]
    truth, points = landscape(family, config, 3), random_points(config, np.random.default_rng(1))[:400]
    sound = [truth.value(point) for point in points if not truth.diverges(point)]
    assert np.std(sound) == pytest.approx(1, abs=0.2)
    assert max(sound) <= truth.best + 0.1
    assert (len(sound) < 400) == (family == "cliff")


@pytest.mark.slow
def test_confirming_candidates_that_their_neighbours_speak_for_lowers_the_true_regret() -> None:
    found = regrets(8)
    single = found["best single score"]
    for way in ("top 4 by score, confirmed", "top 4 by mean, confirmed"):
        gain = single - found[way]  # the same studies
        assert gain.mean() > 2 * gain.std() / np.sqrt(gain.size), way
    assert found["top 4 by mean, confirmed"].mean() < found["top 4 by score, confirmed"].mean() + 0.05
    assert found["best mean of the process"].mean() < single.mean()
