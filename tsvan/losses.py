"""The terms of the losses: reconstruction, KL, adversarial and class terms. Pure, in float32."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tsvan.models.precision import full


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute the mean squared error over all elements."""
    return F.mse_loss(full(prediction), full(target))


def gaussian_kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Compute KL(N(mean, e^logvar) || N(0, I)): summed over the latent dimension, mean over the batch.

    Args:
        mean: (B, D).
        logvar: (B, D).
    """
    mean, logvar = full(mean), full(logvar)
    return -0.5 * (1 + logvar - mean.square() - logvar.exp()).sum(dim=1).mean()


def reparameterise(mean: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """Draw from N(mean, e^logvar) by standard normal noise; all are (B, D)."""
    return full(mean) + noise * torch.exp(0.5 * full(logvar))


def taken_for_real(logits: Tensor) -> Tensor:
    """Compute the binary cross-entropy against "real", mean over positions."""
    return F.softplus(-full(logits)).mean()


def taken_for_fake(logits: Tensor) -> Tensor:
    """Compute the binary cross-entropy against "fake", mean over positions."""
    return F.softplus(full(logits)).mean()


def class_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the cross-entropy of class logits (B, K) and labels (B,)."""
    return F.cross_entropy(full(logits), labels)


def feature_distance(features: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor | float:
    """Compute F, the sum over scales of the mean squared error; 0 without scales."""
    return sum((mse(feature, target) for feature, target in zip(features, targets, strict=True)), start=0.0)
