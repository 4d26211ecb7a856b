"""The check that all of a video came out of its file."""

from __future__ import annotations

import re

import av
from av.container import InputContainer

from tsvan.data.raw.limits import UnreadableError


def duration(frame: av.VideoFrame, stream: av.VideoStream) -> float:
    """Return the seconds that a frame is shown."""
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def check_not_truncated(
    container: InputContainer, stream: av.VideoStream, num_frames: int, end: float | None, rate: float | None
) -> None:
    """Compare what came with what the header promises: a file that was cut off often decodes without an error.

    Where the header tells both, the number of frames and the time must both fall short, by more than rounding: either
    alone is also off in sound files (edit lists, variable frame rates).

    Raises:
        UnreadableError: it was cut off.
    """
    promised = _promised_end(container, stream)
    if promised is None or end is None or rate is None:
        return
    missing = (promised - end) * rate
    slack = 1.5 + 0.02 * num_frames
    if missing > slack and (stream.frames == 0 or stream.frames - num_frames > slack):
        raise UnreadableError(f"cut off: {num_frames} frames, about {round(num_frames + missing)} promised")


def _promised_end(container: InputContainer, stream: av.VideoStream) -> float | None:
    """Return the seconds at which the video ends by the file's header; None where it does not say."""
    start = float((stream.start_time or 0) * stream.time_base) if stream.time_base else 0.0
    if stream.duration is not None and stream.time_base is not None:
        return start + float(stream.duration * stream.time_base)
    # Matroska keeps a track's duration as text, 00:00:02.400000000
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if match:
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if len(container.streams) == 1 and container.duration is not None:
        return float(container.duration / av.time_base)
    return None
