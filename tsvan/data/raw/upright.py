"""Frames as a player shows them: the display matrix's turn or mirroring, and pixels that are not square."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.sidedata.sidedata import Type

from tsvan.data.raw.limits import UnreadableError

_MOST_STRETCHED = 8
"""Widest pixels that are believed; real ones are at most twice as wide as high."""


@dataclass(frozen=True)
class Upright:
    """How decoded frames become those that are shown.

    Args:
        coded: (width, height) to scale the decoded frames to, in pixels.
        quarter_turns: counterclockwise, afterwards.
        mirrored: left and right are swapped before the turn.
    """

    coded: tuple[int, int]
    quarter_turns: int = 0
    mirrored: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) of the frames as they are shown."""
        width, height = self.coded
        return (height, width) if self.quarter_turns % 2 else (width, height)

    def shown(self, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Turn a picture (H, W) or (H, W, 3)."""
        if self.mirrored:
            picture = picture[:, ::-1]
        if self.quarter_turns:
            picture = np.rot90(picture, self.quarter_turns)
        return np.ascontiguousarray(picture)


def upright(frame: av.VideoFrame, pixel_aspect: Fraction | None) -> Upright:
    """Tell how a video is shown, by its first frame.

    Args:
        frame: as decoded, with the display matrix that the file or the stream gives.
        pixel_aspect: width of a pixel over its height; None or 0: not said, so square.

    Raises:
        UnreadableError: it is turned by no quarter turn, or its pixels are of no real shape.
    """
    quarter_turns, mirrored = _turn(frame)
    return Upright(_square_pixels(frame.width, frame.height, pixel_aspect), quarter_turns, mirrored)


def _square_pixels(width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
    """Compute the size at which pixels are square; a pixel's shorter side is stretched, so that nothing is lost."""
    if not aspect or aspect == 1:
        return width, height
    if not Fraction(1, _MOST_STRETCHED) <= aspect <= _MOST_STRETCHED:
        raise UnreadableError(f"its pixels claim to be {aspect.numerator} x {aspect.denominator}")
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def _turn(frame: av.VideoFrame) -> tuple[int, bool]:
    """Return the counterclockwise quarter turns, and whether left and right are swapped before."""
    side_data: Any = frame.side_data  # its stubs know no keys
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return 0, False
    a, b, _, c, d = struct.unpack("=5i", bytes(data)[:20])
    # A point (x, y) is shown at (a x + c y, b x + d y), y downwards. Mirrored: the determinant is negative.
    mirrored = a * d - b * c < 0
    if mirrored:
        a, b = -a, -b
    if b == c == 0 and a:
        return (0 if a > 0 else 2), mirrored
    if a == d == 0 and b:
        return (3 if b > 0 else 1), mirrored
    raise UnreadableError(f"it is shown turned by {frame.rotation % 360} degrees; only quarter turns are read")
