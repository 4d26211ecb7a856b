"""A folder of pictures, one a frame, as picture viewers show them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from tsvan.data.raw.limits import UnreadableError, check_frames, check_pixels, open_regular

Image.MAX_IMAGE_PIXELS = None  # Pillow would warn on the terminal; `check_pixels` refuses

_TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


class PictureFolder:
    """Pictures numbered by their names; a hole in the numbers ends the clip's longest run.

    Args:
        files: in order.
    """

    def __init__(self, files: list[Path]) -> None:
        self._files, gap = longest_run(files)
        check_frames(len(self._files))
        # Numbers that go up by g are every g-th frame of video at 25 frames a second, as the talking faces' are.
        self.rate = 25.0 / gap
        self.expected: int | None = len(self._files)
        with _opened(self._files[0]) as first:
            self.size = _shown_size(first)

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the clip's frames, as `Footage` says."""
        for file in self._files[::every]:
            with _opened(file) as picture:
                if _shown_size(picture) != self.size:
                    raise UnreadableError(f"{file.name} is {_shown_size(picture)}, the first picture {self.size}")
                if gray:
                    picture.draft("L", (400, 400))  # JPEG decodes to a smaller size, many times faster
                shown = _rgb(ImageOps.exif_transpose(picture))
                yield np.asarray(shown.convert("L") if gray else shown)


def longest_run(files: list[Path]) -> tuple[list[Path], int]:
    """Find the longest run of pictures whose numbers go up evenly, and by how much; all where names have no numbers."""
    numbers = [int(found[-1]) if (found := re.findall(r"\d+", file.stem)) else None for file in files]
    known = [number for number in numbers if number is not None and number < 2**62]
    if len(files) < 2 or len(known) < len(files):
        return files, 1
    steps = np.diff(np.array(known, dtype=np.int64))
    gap = max(1, int(np.median(steps)))
    borders = np.flatnonzero(steps != gap) + 1
    runs = np.split(np.arange(len(files)), borders)
    longest = max(runs, key=len)
    return [files[place] for place in longest], gap


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    try:
        with open_regular(file) as content, Image.open(content) as picture:
            check_pixels(*picture.size)
            yield picture
    except UnreadableError as error:
        raise UnreadableError(f"{file.name}: {error}") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = error.strerror if isinstance(error, OSError) else ""
        raise UnreadableError(f"{file.name}: {reason or 'not a picture, or cut off'}") from None


def _shown_size(picture: Image.Image) -> tuple[int, int]:
    width, height = picture.size
    return (height, width) if picture.getexif().get(ExifTags.Base.Orientation) in _TURNED else (width, height)


def _rgb(picture: Image.Image) -> Image.Image:
    """Convert a picture to RGB, on black where it is transparent; take the upper 8 of 16 bits."""
    if picture.mode.startswith("I"):
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    if picture.has_transparency_data:
        shown = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", shown.size, (0, 0, 0, 255)), shown).convert("RGB")
    return picture.convert("RGB")
