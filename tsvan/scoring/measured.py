"""What metrics are computed from: N clips, and what the networks say of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tsvan.scoring.formulas import Array

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Measured:
    """N clips as metrics see them. An index takes some of the clips.

    Args:
        features: (N, D) of the scorer.
        probabilities: (N, K') p(y|v), of the scorer's first head.
        labels: (N,) classes: of generated clips those asked for, of real clips their own.
        num_classes: K, the classes that can be asked for.
        i3d: (N, D') features of the I3D file, when one was given.
        clips: (N, 3, 10, 64, 64) uint8, the clips themselves, when a metric asks for them.
    """

    features: Array
    probabilities: Array
    labels: Ints
    num_classes: int
    i3d: Array | None = None
    clips: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, which: slice | Ints) -> Measured:
        return Measured(
            features=self.features[which],
            probabilities=self.probabilities[which],
            labels=self.labels[which],
            num_classes=self.num_classes,
            i3d=None if self.i3d is None else self.i3d[which],
            clips=None if self.clips is None else self.clips[which],
        )

    @property
    def finite(self) -> bool:
        """Tell whether every clip gave finite numbers; a diverged generator's clips do not."""
        arrays = [self.features, self.probabilities, *([] if self.i3d is None else [self.i3d])]
        return all(bool(np.isfinite(array).all()) for array in arrays)
