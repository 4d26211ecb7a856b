"""The way from what was found in a clip's frames to the square that is cut out of them; pure arithmetic, in pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tsvan.data.config import PrepareConfig

# SciPy is loaded where it is used: it takes a third of a second, and most commands prepare no videos.

Boxes = npt.NDArray[np.float64]
"""(N, 4): left, top, width, height; a row of NaN where nothing was found."""

Path = npt.NDArray[np.float64]
"""(1 or F, 3): left, top and edge of the square, one for the whole clip or one a frame."""

_MEDIAN = 5
"""Boxes over which a median runs: a single false detection has no say."""

_SMOOTH_SHARE = 0.12
"""Share of a clip over which an actor's way is averaged."""

_IN_PLACE = 0.5
"""An actor who travels less than this share of the own size is given one fixed square."""


class LeftOutError(ValueError):
    """The clip is whole, but cannot be centred or is not used by the dataset's rules; the message is the reason."""


def central(size: tuple[int, int]) -> Path:
    """Return the central square of frames of (width, height)."""
    width, height = size
    edge = min(width, height)
    return np.array([[(width - edge) / 2, (height - edge) / 2, edge]])


def face_square(found: Boxes, size: tuple[int, int], config: PrepareConfig) -> Path:
    """Compute one square for a whole clip around where its face goes.

    Args:
        found: the face in each frame looked at.
        size: width and height of the frames.
        config: margin and limits.

    Raises:
        LeftOutError: too few faces, or a box that jumps (a cut, or two people).
    """
    smooth = _smooth(found, config, "face")
    return _fixed(smooth, size, config.face_margin)


def actor_path(found: Boxes, size: tuple[int, int], config: PrepareConfig) -> Path:
    """Compute a square of one size that follows an actor; it is fixed where the actor stays in place.

    Args:
        found: the actor in each frame.
        size: width and height of the frames.
        config: margin and limits.

    Raises:
        LeftOutError: the actor is seen too rarely, or the box jumps.
    """
    smooth = _smooth(found, config, "actor")
    centres = smooth[:, :2] + smooth[:, 2:] / 2  # (N, 2)
    extent = float(np.percentile(smooth[:, 2:].max(axis=1), 95))
    travel = float(np.ptp(np.percentile(centres, [5, 95], axis=0), axis=0).max())
    if travel < _IN_PLACE * extent:
        return _fixed(smooth, size, config.actor_margin)
    # Where nothing was found the way is filled in; beyond both ends it stands still.
    place = np.flatnonzero(~np.isnan(found[:, 0]))
    every = np.arange(len(found))
    way = np.stack([np.interp(every, place, centres[:, axis]) for axis in (0, 1)], axis=1)
    half = max(1, round(_SMOOTH_SHARE * len(found) / 2))  # on each side, so that the average does not lag behind
    from scipy.ndimage import uniform_filter1d

    way = uniform_filter1d(way, 2 * half + 1, axis=0, mode="nearest")
    edge = min(extent * (1 + 2 * config.actor_margin), *size)
    return _inside(way, np.full(len(found), edge), size)


def mask_boxes(masks: npt.NDArray[np.bool_]) -> Boxes:
    """Compute the box of each mask of (F, H, W); stray pixels at the rim do not widen it."""
    return np.array([_mask_box(mask) for mask in masks]).reshape(-1, 4)


def _mask_box(mask: npt.NDArray[np.bool_]) -> tuple[float, float, float, float]:
    rows, columns = mask.sum(axis=1), mask.sum(axis=0)
    total = int(rows.sum())
    if total < 1e-3 * mask.size:
        return (np.nan,) * 4
    top, bottom = np.searchsorted(np.cumsum(rows), [0.01 * total, 0.99 * total])
    left, right = np.searchsorted(np.cumsum(columns), [0.01 * total, 0.99 * total])
    return float(left), float(top), float(right - left + 1), float(bottom - top + 1)


def _smooth(found: Boxes, config: PrepareConfig, what: str) -> Boxes:
    """Take the rows where something was found, and smooth them by the median of their neighbours."""
    seen = found[~np.isnan(found[:, 0])]
    if len(seen) < max(1.0, config.min_seen * len(found)):
        raise LeftOutError(f"{what} found in {len(seen)} of {len(found)} frames looked at")
    centres = np.concatenate([seen[:, :2] + seen[:, 2:] / 2, seen[:, 2:]], axis=1)
    from scipy.ndimage import median_filter

    smooth = median_filter(centres, size=(_MEDIAN, 1), mode="nearest")
    steps = np.abs(np.diff(smooth[:, :2], axis=0)).max(axis=1, initial=0.0) / np.median(smooth[:, 2:].max(axis=1))
    if len(steps) and steps.max() > config.max_jump:
        raise LeftOutError(f"the {what}'s box jumps by {steps.max():.1f} of its size: a cut, or two people")
    return np.concatenate([smooth[:, :2] - smooth[:, 2:] / 2, smooth[:, 2:]], axis=1)


def _fixed(boxes: Boxes, size: tuple[int, int], margin: float) -> Path:
    """Put one square around the boxes, but for the outermost few."""
    low = np.percentile(boxes[:, :2], 5, axis=0)
    high = np.percentile(boxes[:, :2] + boxes[:, 2:], 95, axis=0)
    edge = min(float((high - low).max()) * (1 + 2 * margin), *size)
    return _inside(((low + high) / 2)[None], np.array([edge]), size)


def _inside(centres: npt.NDArray[np.float64], edges: npt.NDArray[np.float64], size: tuple[int, int]) -> Path:
    """Move squares so far that they lie within the frame."""
    corner = np.clip(centres - edges[:, None] / 2, 0, np.array(size) - edges[:, None])
    return np.concatenate([corner, edges[:, None]], axis=1)
