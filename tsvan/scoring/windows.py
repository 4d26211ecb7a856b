"""Windows of clips for the scorer: random ones to train on, fixed ones to measure on. All have ten frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tsvan.data.batches import FrameReader
from tsvan.data.datasets import CROP, MIN_FRAMES, span
from tsvan.data.store import Clip, ClipStore
from tsvan.scoring.config import ScorerConfig
from tsvan.scoring.labels import Scheme

_ORDER, _DRAWS = 0, 1


@dataclass(frozen=True)
class Window:
    """Ten frames of a clip, cropped.

    Args:
        clip: whose frames.
        first: row of the first one in the store's frames.
        step: rows between two of its frames.
        top, left: corner of the crop, pixels.
        backwards: the last frame comes first.
    """

    clip: Clip
    first: int
    step: int
    top: int
    left: int
    backwards: bool = False


def iterations_per_epoch(num_clips: int, config: ScorerConfig) -> int:
    """Count the whole batches in one pass over the train split; a split below one batch is repeated to fill it."""
    return max(1, num_clips // config.batch_size)


def training_windows(
    clips: Sequence[Clip], side: int, scheme: Scheme, config: ScorerConfig, iteration: int
) -> list[Window]:
    """Draw one training batch's windows: a pure function of seed and iteration, so that going on needs no state.

    Clips come without replacement within an epoch; step, window, crop and direction are drawn for each. Where the step
    in frames is a question, the batch is as without it, at the clips' own steps, of which alone the other heads are
    asked; behind it come as many windows at other steps.

    Args:
        clips: the train split.
        side: pixels, side of the stored frames.
        scheme: which steps are drawn.
        config: seed, batch size and the share that is played backwards.
        iteration: from 0.
    """
    epoch, position = divmod(iteration, iterations_per_epoch(len(clips), config))
    repeats = -(-config.batch_size // len(clips))
    order = np.random.default_rng([config.seed, _ORDER, epoch]).permutation(len(clips) * repeats) % len(clips)
    chosen = order[position * config.batch_size : (position + 1) * config.batch_size]
    generator = np.random.default_rng([config.seed, _DRAWS, iteration])
    windows = []
    asked = [(clips[index], scheme.steps(clips[index])) for index in chosen]
    if scheme.frame_steps:
        asked = [(clip, steps[:1]) for clip, steps in asked] + [(clip, steps[1:] or steps) for clip, steps in asked]
    for clip, steps in asked:
        step = int(generator.choice(steps))
        room = clip.num_frames - span(MIN_FRAMES, step)
        first = clip.start + int(generator.integers(room + 1))
        top, left = (int(offset) for offset in generator.integers(side - CROP + 1, size=2))
        backwards = bool(generator.random() < config.backward_share)
        windows.append(Window(clip, first, step, top, left, backwards))
    return windows


def held_out_windows(store: ClipStore, scheme: Scheme | None = None) -> list[Window]:
    """List all non-overlapping windows of the test split, central crop, at the clips' own steps, or at all steps that a
    scheme asks about."""
    corner = (store.side - CROP) // 2
    return [
        Window(clip, first, step, corner, corner)
        for clip in store.split("test")
        for step in ([clip.frame_step] if scheme is None else scheme.steps(clip))
        for first in _starts(clip, span(MIN_FRAMES, step))
    ]


def all_windows(store: ClipStore) -> list[Window]:
    """List every window of the test split at the clips' own steps, central crop; neighbours overlap."""
    corner = (store.side - CROP) // 2
    return [
        Window(clip, clip.start + first, clip.frame_step, corner, corner)
        for clip in store.split("test")
        for first in range(clip.num_frames - span(MIN_FRAMES, clip.frame_step) + 1)
    ]


def load(reader: FrameReader, windows: Sequence[Window]) -> Tensor:
    """Read windows as (B, 3, 10, 64, 64) float32 in [-1, 1] on the reader's device."""
    first, step, top, left = np.array([(w.first, w.step, w.top, w.left) for w in windows], dtype=np.int64).T
    frames = np.array([np.arange(MIN_FRAMES)[:: -1 if w.backwards else 1] for w in windows])  # (B, 10)
    rows = first[:, None] + step[:, None] * frames
    return reader.read(rows, top, left)


def _starts(clip: Clip, length: int) -> range:
    return range(clip.start, clip.start + clip.num_frames - length + 1, length)
