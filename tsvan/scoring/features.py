"""The way from clips to what the networks say of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from tsvan.scoring.classifier import Scorer
from tsvan.scoring.fvd import I3D
from tsvan.scoring.measured import Ints, Measured

AT_ONCE = {"cpu": 64, "cuda": 256}
"""Clips in the scorer at once; its results don't depend on it."""


def measure(
    scorer: Scorer,
    batches: Iterable[Tensor],
    labels: Ints,
    device: torch.device,
    i3d: I3D | None = None,
    keep_clips: bool = False,
) -> Measured:
    """Pass clips through the scorer, `AT_ONCE` at a time, whatever the batches that they come in.

    Args:
        scorer: on `device`.
        batches: clips (b, 3, 10, 64, 64) in [-1, 1], consumed one at a time.
        labels: (N,) their classes, in the same order.
        device: where the networks are.
        i3d: the I3D file's network.
        keep_clips: keep the clips, too, for metrics that look at them.

    Raises:
        ValueError: there are no clips, or another number than of labels.
    """
    features, probabilities, others, kept = [], [], [], []
    for clips in batches:
        for part in clips.to(device).split(AT_ONCE[device.type]):  # type: ignore[no-untyped-call]
            found, chances = scorer.measure(part)
            features.append(found.numpy())
            probabilities.append(chances.numpy())
            if i3d is not None:
                others.append(i3d.features(part).numpy())
            if keep_clips:
                kept.append(((part.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy())
    if not features:
        raise ValueError("there are no clips to measure")
    if sum(map(len, features)) != len(labels):
        raise ValueError(f"each clip needs a label, got {sum(map(len, features))} and {len(labels)}")
    return Measured(
        features=np.concatenate(features),
        probabilities=np.concatenate(probabilities),
        labels=labels,
        num_classes=scorer.scheme.num_classes,
        i3d=np.concatenate(others) if others else None,
        clips=np.concatenate(kept) if kept else None,
    )
