"""The held-out real clips that scores are compared with: which windows, and their features on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from tsvan.data.store import ClipStore
from tsvan.files import replacing
from tsvan.scoring.features import Measured
from tsvan.scoring.windows import Window, held_out_windows
from tsvan.validation import UserError, first_line

Table = TypeVar("Table")


def real_windows(store: ClipStore, max_windows: int) -> list[Window]:
    """Held-out windows in such an order that even and odd ones are halves with the same classes and, where a person has
    more than one window of a class, the same people.

    Raises:
        UserError: fewer than two windows a half.
    """
    windows = sorted(held_out_windows(store), key=lambda window: (window.clip.label, window.clip.person, window.first))
    halves: list[list[Window]] = [[], []]
    for label in sorted({window.clip.label for window in windows}):
        of_class = [window for window in windows if window.clip.label == label]
        # An odd one out goes to the shorter half.
        order = (0, 1) if len(halves[0]) <= len(halves[1]) else (1, 0)
        for side in (0, 1):
            halves[order[side]] += of_class[side::2]
    count = min(len(halves[0]), len(halves[1]), max_windows // 2)
    if count < 2:
        raise UserError(
            f"{store.path} holds out {len(windows)} windows of ten frames; scoring needs 4 or more: add videos"
        )
    chosen = [np.linspace(0, len(half) - 1, count).round().astype(np.int64) for half in halves]
    return [halves[side][chosen[side][place]] for place in range(count) for side in (0, 1)]


def write_measured(path: Path, measured: Measured) -> None:
    """Keep features and probabilities."""
    arrays = {name: torch.from_numpy(value) for name, value in vars(measured).items() if value is not None}
    with replacing(path) as temporary:
        torch.save(arrays, temporary)


def read_measured(path: Path) -> Measured:
    """What `write_measured` kept.

    Raises:
        UserError: the file is damaged.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        return Measured(**{name: value.numpy() for name, value in saved.items()})
    except Exception as error:  # torch.load raises whatever zip and pickle raise
        raise _damaged(path, error) from None


def read_table(path: Path, build: Callable[[Mapping[str, Any]], Table]) -> Table:
    """A table that was kept as JSON.

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
