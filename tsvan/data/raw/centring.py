"""The place of the face or the actor in a clip: by OpenCV's cascades, the dataset's masks, or what moves."""

from __future__ import annotations

from functools import cache
from pathlib import Path as FilePath
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import DatasetRules
from tsvan.data.raw.boxes import Boxes, LeftOutError, Path, actor_path, central, face_square, mask_boxes
from tsvan.data.raw.footage import Footage, Frames

How = Literal["left alone", "face", "masks", "motion", "central square"]

_LOOKS_PER_SECOND = 3
_FEWEST_LOOKS = 8
_FACE_SIDE = 320
"""Pixels, short side of the pictures in which faces are looked for."""

_MOTION_SIDE = 128
_MOVED = 18
"""Gray levels, of 255, by which a pixel that moved differs from the clip's median."""


def centre(
    rules: DatasetRules, footage: Footage, published: bool, masks: Boxes | None, config: PrepareConfig
) -> tuple[Path, How]:
    """Find the square of a clip, and tell how it was found.

    Args:
        rules: the dataset.
        footage: the clip.
        published: the authors' own crop (`.npy`).
        masks: of Weizmann, the actor's box in each frame, where the masks are there.
        config: margins and limits.

    Raises:
        LeftOutError: no face or actor, or a jumping box.
        UnreadableError: the clip is damaged.
    """
    if published or is_centred(rules, footage.size):
        return central(footage.size), "left alone"
    if config.centring == "none" or rules.centring.by == "none":
        return central(footage.size), "central square"
    if rules.centring.by == "face":
        return face_square(_faces(footage), footage.size, config), "face"
    if masks is not None:
        return actor_path(masks, footage.size, config), "masks"
    return actor_path(_moving(footage), footage.size, config), "motion"


def is_centred(rules: DatasetRules, size: tuple[int, int]) -> bool:
    """Tell whether frames of (width, height) were cropped before: squares, up to the side of the dataset's crops."""
    width, height = size
    return width == height and width <= rules.centring.crops_up_to


def _faces(footage: Footage) -> Boxes:
    """Find the face in every n-th frame; of several, the one nearest to where the clip's largest ones mostly are."""
    every = max(1, round((footage.rate or 25.0) / _LOOKS_PER_SECOND))
    if footage.expected:
        every = max(1, min(every, footage.expected // _FEWEST_LOOKS))
    looks = [_faces_in(frame, footage.size[0]) for frame in footage.frames(every=every, gray=True)]
    largest = [max(faces, key=lambda face: face[2]) for faces in looks if faces]
    if not largest:
        return np.full((len(looks), 4), np.nan)
    usual = np.median(np.array(largest), axis=0)
    nearest = [min(faces, key=lambda face: _apart(face, usual)) if faces else (np.nan,) * 4 for faces in looks]
    return np.array(nearest)


def _apart(face: tuple[float, ...], usual: npt.NDArray[np.float64]) -> float:
    return float(np.abs(np.array(face) - usual).sum())


def _faces_in(gray: Frames, width: int) -> list[tuple[float, ...]]:
    """Find boxes (left, top, width, height) in pixels of a frame of that width, of which `gray` is a reduction."""
    short = min(gray.shape)
    if short > _FACE_SIDE:
        target = (round(gray.shape[1] * _FACE_SIDE / short), round(gray.shape[0] * _FACE_SIDE / short))
        gray = np.asarray(cv2.resize(gray, target, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    scale = width / gray.shape[1]
    smallest = min(gray.shape) // 8
    for name, mirrored in _CASCADES:
        picture = np.ascontiguousarray(gray[:, ::-1]) if mirrored else gray
        found = _cascade(name).detectMultiScale(picture, 1.1, 4, minSize=(smallest, smallest))
        if len(found):
            boxes = [(gray.shape[1] - x - w if mirrored else x, y, w, h) for x, y, w, h in found]
            return [tuple(scale * float(value) for value in box) for box in boxes]
    return []


# A later one is asked only when the earlier ones saw nothing.
_CASCADES = (
    ("frontalface_default", False),
    ("frontalface_default", True),
    ("profileface", False),
    ("profileface", True),
)


@cache
def _cascade(name: str) -> Any:
    cv2.setNumThreads(1)  # clips are read side by side
    return cv2.CascadeClassifier(str(FilePath(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml"))


def _moving(footage: Footage) -> Boxes:
    """Find the box of what differs from the clip's median frame, in each frame; what never moves is background."""
    width, height = footage.size
    scale = max(1.0, min(width, height) / _MOTION_SIDE)
    target = (round(width / scale), round(height / scale))
    small = [cv2.resize(frame, target, interpolation=cv2.INTER_AREA) for frame in footage.frames(gray=True)]
    if not small:
        raise LeftOutError("no frame in it")
    frames = np.stack(small)  # (F, h, w)
    still = np.median(frames[:: max(1, len(frames) // 60)], axis=0).astype(np.int16)
    moved = np.abs(frames.astype(np.int16) - still) > _MOVED
    kernel = np.ones((3, 3), dtype=np.uint8)
    opened = [cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0 for mask in moved]
    boxes: Boxes = mask_boxes(np.stack(opened)) * np.array([width / target[0], height / target[1]] * 2)
    return boxes
