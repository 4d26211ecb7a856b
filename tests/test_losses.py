"""Every term against numbers worked out by hand."""

import math

import pytest
import torch

from tsvan import losses


def test_mse_is_the_mean_over_all_elements():
    assert losses.mse(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.zeros(2, 2)).item() == pytest.approx(30 / 4)


def test_kl_sums_latents_and_averages_the_batch():
    # Row 1: mean (1, 0), log-variance (0, 0): 1/2 * 1. Row 2: mean 0, variance (e, 1): 1/2 * (e - 1 - 1).
    mean = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    logvar = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    assert losses.gaussian_kl(mean, logvar).item() == pytest.approx((0.5 + (math.e - 2) / 2) / 2)


def test_reparameterise_scales_noise_by_the_standard_deviation():
    drawn = losses.reparameterise(torch.tensor([[1.0]]), torch.tensor([[math.log(4.0)]]), torch.tensor([[3.0]]))
    assert drawn.item() == pytest.approx(1 + 2 * 3)


def test_adversarial_terms_are_binary_cross_entropy_on_logits():
    logits = torch.tensor([[0.0, math.log(3.0)]])  # sigmoid: 1/2 and 3/4
    assert losses.taken_for_real(logits).item() == pytest.approx(-(math.log(0.5) + math.log(0.75)) / 2)
    assert losses.taken_for_fake(logits).item() == pytest.approx(-(math.log(0.5) + math.log(0.25)) / 2)


def test_class_error():
    logits = torch.log(torch.tensor([[1.0, 3.0], [1.0, 1.0]]))
    error = losses.class_error(logits, torch.tensor([1, 0])).item()
    assert error == pytest.approx(-(math.log(0.75) + math.log(0.5)) / 2)


def test_feature_distance_sums_scales():
    ones, zeros = torch.ones(2, 3), torch.zeros(2, 3)
    assert float(losses.feature_distance([ones, 2 * ones], [zeros, zeros])) == pytest.approx(1 + 4)
    assert float(losses.feature_distance([], [])) == 0.0


def test_losses_are_computed_in_float32():
    half = torch.ones(4, 4, dtype=torch.bfloat16)
    for term in (losses.mse(half, half * 0), losses.gaussian_kl(half, half), losses.taken_for_real(half)):
        assert term.dtype == torch.float32
