"""From clips to features and probabilities, and from those to the values of all metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tsvan.scoring.classifier import Scorer
from tsvan.scoring.fvd import I3D
from tsvan.scoring.metrics import (
    Array,
    frechet_distance,
    inception_score,
    inter_entropy,
    intra_entropy,
    kernel_distance,
    label_agreement,
)

AT_ONCE = {"cpu": 64, "cuda": 256}
"""Clips in the scorer at once; its results don't depend on it."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What the networks say of N clips.

    Args:
        features: (N, D) of the scorer.
        probabilities: (N, K') p(y|v), of the scorer's first head.
        i3d: (N, D') features of the I3D file, when one was given.
    """

    features: Array
    probabilities: Array
    i3d: Array | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, which: slice | NDArray[np.int64]) -> Measured:
        return Measured(self.features[which], self.probabilities[which], None if self.i3d is None else self.i3d[which])

    @property
    def finite(self) -> bool:
        """Whether every clip gave finite numbers; a diverged generator's clips do not."""
        arrays = [self.features, self.probabilities, *([] if self.i3d is None else [self.i3d])]
        return all(bool(np.isfinite(array).all()) for array in arrays)


def measure(scorer: Scorer, batches: Iterable[Tensor], device: torch.device, i3d: I3D | None = None) -> Measured:
    """Pass clips through the scorer, `AT_ONCE` at a time, whatever the batches that they come in.

    Args:
        scorer: on `device`.
        batches: clips (b, 3, 10, 64, 64) in [-1, 1].
        device: where the networks are.
        i3d: the I3D file's network.

    Raises:
        ValueError: there are no clips.
    """
    features, probabilities, others = [], [], []
    for clips in batches:
        for part in clips.to(device).split(AT_ONCE[device.type]):  # type: ignore[no-untyped-call]
            found, chances = scorer.measure(part)
            features.append(found.numpy())
            probabilities.append(chances.numpy())
            if i3d is not None:
                others.append(i3d.features(part).numpy())
    if not features:
        raise ValueError("there are no clips to measure")
    return Measured(np.concatenate(features), np.concatenate(probabilities), np.concatenate(others) if others else None)


def class_values(measured: Measured, labels: NDArray[np.int64], num_classes: int) -> dict[str, float]:
    """Entropies, Inception Score and, where it applies, label agreement. NaN when a clip is not finite.

    Args:
        measured: N clips.
        labels: (N,) classes asked for.
        num_classes: K.
    """
    p = measured.probabilities
    finite = measured.finite
    values = {
        "inception_score": inception_score(p) if finite else np.nan,
        "inter_entropy": inter_entropy(p) if finite else np.nan,
        "intra_entropy": intra_entropy(p) if finite else np.nan,
    }
    agreement = label_agreement(p, labels, num_classes)
    if agreement is not None:
        values["label_agreement"] = agreement if finite else np.nan
    return values


def distances(measured: Measured, reference: Measured) -> dict[str, float]:
    """Kernel and Frechet distance to the reference. NaN when a clip is not finite."""
    if not measured.finite:
        names = ("kernel_distance", "frechet_distance", *(() if measured.i3d is None else ("fvd_i3d",)))
        return dict.fromkeys(names, np.nan)
    values = {
        "kernel_distance": kernel_distance(measured.features, reference.features),
        "frechet_distance": frechet_distance(measured.features, reference.features),
    }
    if measured.i3d is not None and reference.i3d is not None:
        values["fvd_i3d"] = frechet_distance(measured.i3d, reference.i3d)
    return values
