"""The rate of a clip: what its name says is believed before what its header says."""

from __future__ import annotations

from tsvan.data.naming import Layout
from tsvan.data.raw.filenames import Identity

_SAME = 0.05
"""Share by which two rates may differ that say the same: 29.97 and 30, or a frame more or less."""

_SLOWEST, _FASTEST = 4.0, 130.0
"""Frames per second of video; a name that gives another rate counts in something else."""


def believed_rate(
    header: float | None, num_frames: int, identity: Identity, layout: Layout | None
) -> tuple[float | None, str]:
    """Decide a clip's rate.

    Args:
        header: frames per second that the file says; None: it does not.
        num_frames: that were decoded.
        identity: what the name says; with `seconds`, how long the clip lasts.
        layout: that the name has.

    Returns:
        Frames per second, None when neither says; and a note for the user where they disagree, else empty.
    """
    by_name = num_frames / identity.seconds if identity.seconds else None
    if by_name is not None and _SLOWEST <= by_name <= _FASTEST:
        if header is None or abs(by_name - header) <= _SAME * header:
            return header or by_name, ""
        return by_name, f"the header says {header:g} frames a second, the name {by_name:.0f}: the name is believed"
    if header is not None and layout is not None and header == layout.doubtful_rate:
        return None, f"the header says {header:g} frames a second, as the tool writes into every file: not believed"
    return header, ""
