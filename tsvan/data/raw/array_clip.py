"""A clip as the authors publish them: four axes of uint8 in a `.npy` file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy
from PIL import Image

from tsvan.data.datasets import NpyAxes
from tsvan.data.raw.limits import UnreadableError, check_frames, check_pixels


class ArrayClip:
    """A clip as an array, (H, W, C, T) or (T, H, W, C).

    Args:
        file: its content.
        axes: of the dataset, for where the shape alone does not tell.
    """

    rate = None

    def __init__(self, file: BinaryIO, axes: NpyAxes) -> None:
        shape = _shape(file)
        # The dataset's own axes where the colour axis fits them; the other ones only where those alone can be meant.
        fitting = [name for name, axis in (("HWCT", 2), ("THWC", 3)) if shape[axis] == 3]
        if not fitting:
            raise UnreadableError(f"expected ({', '.join(axes)}) with C = 3, got shape {shape}")
        if min(shape) == 0:
            raise UnreadableError(f"no pixels in it, shape {shape}")
        time_last = (axes if axes in fitting else fitting[0]) == "HWCT"
        height, width, frames = (shape[0], shape[1], shape[3]) if time_last else (shape[1], shape[2], shape[0])
        check_pixels(width, height)
        check_frames(frames)
        clip = _loaded(file)
        self._clip = np.moveaxis(clip, 3, 0) if time_last else clip
        self.size = (width, height)
        self.expected: int | None = frames

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the clip's frames, as `Footage` says."""
        for frame in self._clip[::every]:
            plain = np.ascontiguousarray(frame)
            yield np.asarray(Image.fromarray(plain).convert("L")) if gray else plain


def _shape(file: BinaryIO) -> tuple[int, ...]:
    """Read the header's shape before anything of that size is made; refuse a file that is shorter than it says."""
    try:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
    except (ValueError, EOFError, OSError, SyntaxError, MemoryError):
        raise UnreadableError(_NOT_AN_ARRAY) from None
    if len(shape) != 4 or dtype != np.uint8:
        if dtype.hasobject:
            raise UnreadableError(_NOT_AN_ARRAY)
        raise UnreadableError(f"expected 4 axes of uint8, got shape {shape} {dtype}")
    place = file.tell()
    length = file.seek(0, 2) - place
    if length < np.prod(shape, dtype=object):
        raise UnreadableError(_NOT_AN_ARRAY)
    return shape


def _loaded(file: BinaryIO) -> npt.NDArray[np.uint8]:
    file.seek(0)
    try:
        clip: npt.NDArray[np.uint8] = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise UnreadableError(_NOT_AN_ARRAY) from None
    return clip


_NOT_AN_ARRAY = "not a .npy array of numbers, or cut off"
