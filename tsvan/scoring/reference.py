"""The held-out real clips that scores are compared with: which windows, and their features on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from tsvan.data.store import ClipStore
from tsvan.files import replacing
from tsvan.scoring.measured import Ints, Measured
from tsvan.scoring.windows import Window, all_windows, held_out_windows
from tsvan.validation import UserError, first_line

Table = TypeVar("Table")
Item = TypeVar("Item")

MIN_VIDEOS = 8
"""Held-out videos below which a standard error over videos says little."""

WINDOWS_PER_VIDEO = 4
MAX_EVIDENCE_WINDOWS = 2_048


def real_windows(store: ClipStore, max_windows: int) -> list[Window]:
    """Choose held-out windows that do not overlap, in such an order that even and odd ones are halves with the same
    classes and, where a person has more than one window of a class, the same people.

    Raises:
        UserError: fewer than two windows a half.
    """
    windows = sorted(held_out_windows(store), key=lambda window: (window.clip.label, window.clip.person, window.first))
    chosen = _interleaved(windows, [window.clip.label for window in windows], max_windows)
    if len(chosen) < 4:
        raise UserError(
            f"{store.path} holds out {len(windows)} windows of ten frames; scoring needs 4 or more: add videos"
        )
    return chosen


@dataclass(frozen=True, eq=False)
class EvidenceWindows:
    """Held-out windows for standard errors, in blocks that are independent of each other.

    Args:
        windows: of held-out clips; those of one block may overlap.
        blocks: (n,) number of each window's block. Even and odd blocks are halves with the same classes.
        unit: what a block is: a `video`, or where these are fewer than MIN_VIDEOS a `stretch` of one, a window that
            overlaps no other.
    """

    windows: list[Window]
    blocks: Ints
    unit: Literal["video", "stretch"]


def evidence_windows(store: ClipStore) -> EvidenceWindows:
    """Choose a few windows of each held-out video, evenly spread: long videos count no more than short ones."""
    videos: dict[str, list[Window]] = {}
    for window in all_windows(store):
        videos.setdefault(window.clip.source, []).append(window)
    if len(videos) < MIN_VIDEOS:
        windows = sorted(held_out_windows(store), key=lambda window: (window.clip.label, window.first))
        chosen = _interleaved(windows, [window.clip.label for window in windows], MAX_EVIDENCE_WINDOWS)
        return EvidenceWindows(chosen, np.arange(len(chosen)), "stretch")
    ordered = sorted(videos.values(), key=lambda some: (some[0].clip.label, some[0].clip.person, some[0].first))
    kept = _interleaved(ordered, [some[0].clip.label for some in ordered], MAX_EVIDENCE_WINDOWS)
    per_video = max(1, min(WINDOWS_PER_VIDEO, MAX_EVIDENCE_WINDOWS // len(kept)))
    windows = [some[place] for some in kept for place in _spread(len(some), per_video)]
    return EvidenceWindows(windows, np.repeat(np.arange(len(kept)), per_video), "video")


def _interleaved(items: Sequence[Item], labels: Sequence[int], at_most: int) -> list[Item]:
    """Order items so that the even ones are one half of them, the odd ones another, with as many of each label."""
    halves: list[list[Item]] = [[], []]
    for label in sorted(set(labels)):
        of_class = [item for item, own in zip(items, labels, strict=True) if own == label]
        # An odd one out goes to the shorter half.
        order = (0, 1) if len(halves[0]) <= len(halves[1]) else (1, 0)
        for side in (0, 1):
            halves[order[side]] += of_class[side::2]
    count = min(len(halves[0]), len(halves[1]), at_most // 2)
    chosen = [_spread(len(half), count) for half in halves]
    return [halves[side][chosen[side][place]] for place in range(count) for side in (0, 1)]


def _spread(count: int, wanted: int) -> Ints:
    """Return `wanted` places in 0..count-1, evenly spread; some are the same where there are fewer."""
    return np.linspace(0, count - 1, wanted).round().astype(np.int64)


def write_measured(path: Path, measured: Measured) -> None:
    """Keep what the networks say of the clips."""
    values = {name: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for name, v in vars(measured).items()}
    with replacing(path) as temporary:
        torch.save(values, temporary)


def read_measured(path: Path) -> Measured:
    """Read what `write_measured` kept.

    Raises:
        UserError: the file is damaged.
    """
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        values: dict[str, Any] = {name: v.numpy() if isinstance(v, torch.Tensor) else v for name, v in saved.items()}
        return Measured(**values)
    except Exception as error:  # torch.load raises whatever zip and pickle raise
        raise _damaged(path, error) from None


def read_table(path: Path, build: Callable[[Mapping[str, Any]], Table]) -> Table:
    """Read a table that was kept as JSON.

    Raises:
        UserError: the file is damaged.
    """
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, reason: object) -> UserError:
    text = first_line(reason)
    return UserError(f"the cached reference {path} is damaged: {text}; delete it and run again")
