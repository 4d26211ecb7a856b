"""Clip stores with moving squares, and the smallest scorer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tsvan.data.datasets import rules
from tsvan.data.raw.filenames import identify
from tsvan.data.splits import Source
from tsvan.data.store import ClipStore
from tsvan.data.store_writer import StoreWriter
from tsvan.scoring.config import ScorerConfig

TINY = ScorerConfig(iterations=30, batch_size=8, lr=2e-3, widths=(4, 4, 8, 8), eval_every=10)


def write_store(dataset: str, out: Path, files: dict[str, int]) -> ClipStore:
    """A store of drawn clips; `files` gives the frames of each file by its name in the dataset's own naming."""
    found = rules(dataset)
    people = sorted({identify(found, name).subject for name in files})
    with StoreWriter(found, out, "synthetic") as writer:
        for name, num_frames in files.items():
            who = identify(found, name)
            direction = 1 if found.classes.index(who.class_name) % 2 else -1
            frames = _square(num_frames, found.side, 80 + 90 * people.index(who.subject), direction)
            writer.add(Source(name, who, num_frames, 12.5, "0" * 64), frames)
        return writer.finish()


def _square(num_frames: int, side: int, colour: int, direction: int) -> np.ndarray:
    frames = np.full((num_frames, side, side, 3), 20, dtype=np.uint8)
    for t in range(num_frames):
        left = (direction * 3 * t) % (side - 20)
        top = 25 + 10 * direction
        frames[t, top : top + 20, left : left + 20] = colour
    return frames
