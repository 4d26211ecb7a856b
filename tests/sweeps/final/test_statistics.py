"""Intervals and verdicts by hand, and on simulated studies whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.config.schema import Objective
from sweeps.final.statistics import (
    Interval,
    Noise,
    dunnett,
    indistinguishable,
    interval,
    margin,
    measured_noise,
    paired,
    pooled,
    shown,
    verdict,
)

HIGHER, LOWER = Objective("inception_score", "maximize"), Objective("kernel_distance", "minimize")


def test_t_interval_by_hand() -> None:
    # 1, 2, 3: mean 2, s = 1, t(0.975, 2) = 4.30265; half = 4.30265 / sqrt(3) = 2.48414.
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.low == pytest.approx(-0.48414, abs=1e-5)
    assert found.high == pytest.approx(4.48414, abs=1e-5)


def test_one_value_has_no_interval() -> None:
    assert interval([4.0]) == Interval(4.0, None, None, [4.0])


def test_pairs_are_of_the_seeds_that_both_have() -> None:
    found = paired({0: 5.0, 1: 6.0, 2: 7.0}, {1: 4.0, 2: 4.0, 3: 9.0})
    assert found is not None
    assert found.values == [2.0, 3.0]
    assert paired({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    ("difference", "same", "words"),
    [
        (Interval(0.31, 0.12, 0.5, []), False, "adopt: +0.31 [0.12, 0.50]"),
        (Interval(0.31, -0.1, 0.7, []), False, "no evidence; keep the published setting: +0.31 [-0.10, 0.70]"),
        (Interval(-31.0, -50.0, -12.0, []), False, "no evidence; keep the published setting: -31 [-50, -12]"),
        (Interval(0.31, None, None, []), False, "no evidence; keep the published setting: +0.31 from one seed"),
        (None, False, "no verdict: not both configs have a final score"),
        (None, True, "the best config is the published setting: keep it"),
    ],
)
def test_verdicts(difference: Interval | None, same: bool, words: str) -> None:
    assert verdict(HIGHER, difference, same) == words


@pytest.mark.parametrize("gain", [0.1, 1 / 3, 0.25])
@pytest.mark.parametrize("seeds", [2, 5])
def test_equal_differences_prove_nothing(gain: float, seeds: int) -> None:
    found = interval([gain] * seeds)
    assert verdict(HIGHER, found, False).startswith(f"no evidence; keep the published setting: {gain:+.3g} from seeds")
    published = {place: 0.1 * place for place in range(seeds)}
    rounded = paired({place: score + gain for place, score in published.items()}, published)
    assert verdict(HIGHER, rounded, False).startswith("no evidence")


def test_a_winner_that_lost_seeds_is_not_adopted() -> None:
    better = Interval(0.5, 0.4, 0.6, [0.5, 0.5])
    lost = verdict(HIGHER, better, False, lost=(3, 0), seeds=5)
    assert lost == "no evidence; keep the published setting: 3 of 5 seeds of the best config failed"
    assert verdict(HIGHER, better, False, lost=(0, 3), seeds=5) == "adopt: +0.50 [0.40, 0.60] over 2 of 5 seeds"
    assert verdict(HIGHER, better, False, lost=(1, 1), seeds=5).startswith("adopt")


def test_a_frechet_distance_decides_without_showing_an_interval() -> None:
    objective = Objective("frechet_distance", "minimize")
    assert verdict(objective, Interval(-3.0, -5.0, -1.0, []), False) == "adopt: -3"


def test_lower_is_adopted_where_it_is_minimised() -> None:
    assert verdict(LOWER, Interval(-0.3, -0.5, -0.1, []), False).startswith("adopt")
    assert verdict(LOWER, Interval(0.3, 0.1, 0.5, []), False).startswith("no evidence")


def test_decimals_follow_the_width() -> None:
    assert shown("x", Interval(1234.5678, 1230.0, 1239.0, [])) == "1234.6 [1230.0, 1239.0]"
    assert shown("x", Interval(0.0012345, 0.00120, 0.00126, [])) == "0.001234 [0.001200, 0.001260]"
    assert shown("x", Interval(2.0, 2.0, 2.0, [])) == "2.0000 [2.0000, 2.0000]"
    assert shown("frechet_distance", Interval(5.0, 4.0, 6.0, [])) == "5"
    assert shown("x", Interval(0.123456, None, None, [])) == "0.1235"


def test_noise_is_pooled_within_configs() -> None:
    # Variances 1 (2 degrees of freedom) and 4 (1): (2 x 1 + 1 x 8 / 2) / 3; the configs share their seeds.
    noise = pooled([[1.0, 2.0, 3.0], [10.0, 10.0 + 8**0.5], [7.0]], "")
    assert noise is not None
    assert (noise.std**2, noise.dof) == (pytest.approx(2.0), 2)
    assert pooled([[1.0], [2.0]], "") is None


def test_calibration_goes_before_confirm_and_report_is_not_used() -> None:
    groups = {("calibrate", "a"): [1.0, 3.0], ("confirm", "b"): [1.0, 2.0, 3.0], ("report", "b"): [1.0, 100.0, 3.0]}
    for stage, freedom in (("calibrate", 1), ("confirm", 2)):
        noise = measured_noise(groups)
        assert noise is not None
        assert noise.dof == freedom
        groups = {key: values for key, values in groups.items() if key[0] != stage}
    assert measured_noise(groups) is None


@pytest.mark.parametrize(
    ("comparisons", "freedom", "value"),
    # C. W. Dunnett, "A multiple comparison procedure...", 1955, table 1a: one-sided, 95%.
    [(1, 10, 1.81), (2, 10, 2.15), (3, 10, 2.34), (4, 10, 2.47), (5, 10, 2.56), (2, 5, 2.44), (9, 20, 2.60)],
)
def test_dunnetts_table(comparisons: int, freedom: int, value: float) -> None:
    assert dunnett(comparisons, freedom) == pytest.approx(value, abs=0.006)


def test_the_set_is_cut_at_the_margin_on_the_right_side() -> None:
    noise = Noise(1.0, 10, "")
    assert margin(2, noise) == pytest.approx(1.812461 * 2**0.5, abs=1e-3)
    assert indistinguishable({7: 10.0, 8: 7.5}, noise, HIGHER) == [7, 8]
    assert indistinguishable({7: 10.0, 8: 7.4}, noise, HIGHER) == [7]
    assert indistinguishable({7: 10.0, 8: 7.4}, noise, LOWER) == [8]
    assert indistinguishable({3: 1.0}, noise, LOWER) == [3]
    assert indistinguishable({}, noise, LOWER) == []


def test_intervals_cover_the_truth_in_95_of_100_studies() -> None:
    draws = np.random.default_rng(0).normal(3.0, 2.0, size=(4000, 5))
    found = [interval(list(row)) for row in draws]
    covered = np.mean([value.low <= 3.0 <= value.high for value in found if value.low is not None and value.high])
    assert 0.94 < covered < 0.96


@pytest.mark.parametrize("stage", ["calibrate", "confirm"])
@pytest.mark.parametrize("step", [0.0, 0.5, 2.0])
def test_the_truly_best_config_stays_in_the_set_in_95_of_100_studies(step: float, stage: str) -> None:
    chance = np.random.default_rng(1)
    truth = -step * np.arange(16)  # config 0 is the best; with step 0 all are
    kept, sizes = [], []
    for _ in range(1000):
        shared = chance.normal(0, 0.9, 5)  # what a seed does to every config alike
        own = chance.normal(0, (1 - 0.9**2) ** 0.5, (3 if stage == "confirm" else 1, 5))
        noise = measured_noise({(stage, str(number)): list(shared + row) for number, row in enumerate(own)})
        assert noise is not None
        scores = dict(enumerate(truth + chance.normal(0, 1, 16)))
        found = indistinguishable(scores, noise, HIGHER)
        kept.append(0 in found)
        sizes.append(len(found))
    assert np.mean(kept) > 0.94
    assert step < 2.0 or np.mean(sizes) < 4  # and it is not everything


def simulated(chance: np.random.Generator, truth: np.ndarray, kind: str, seeds: int = 5) -> str:
    """A whole study: one seed a trial on `validation`, its best, then fresh seeds for that and the published row."""

    def noise(size: tuple[int, ...]) -> np.ndarray:
        return {"normal": chance.normal, "heavy": lambda _, __, size: chance.standard_t(3, size)}[kind](0, 1, size)

    best = int(np.argmax(truth + noise(truth.shape)))
    shared = noise((seeds,))  # what the same seeds and latents have in common
    winner, row = (dict(enumerate(truth[number] + shared + noise((seeds,)))) for number in (best, 0))
    return verdict(HIGHER, paired(winner, row), same=best == 0)


@pytest.mark.parametrize("kind", ["normal", "heavy"])
def test_a_config_that_is_no_better_is_adopted_in_at_most_5_of_100_studies(kind: str) -> None:
    chance = np.random.default_rng(2)
    verdicts = [simulated(chance, np.zeros(32), kind) for _ in range(2000)]
    assert np.mean([text.startswith("adopt") for text in verdicts]) <= 0.035


def test_a_config_that_is_clearly_better_is_adopted() -> None:
    chance, truth = np.random.default_rng(3), np.array([0.0] * 31 + [5.0])
    verdicts = [simulated(chance, truth, "normal") for _ in range(300)]
    assert np.mean([text.startswith("adopt") for text in verdicts]) > 0.8
