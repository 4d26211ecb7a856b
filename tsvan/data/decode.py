"""One video file or published `.npy` clip -> square RGB frames of the store's side, or the reason why not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image

from tsvan.data.datasets import MIN_FRAMES, NpyLayout

Frames = npt.NDArray[np.uint8]


class UnreadableError(ValueError):
    """The file cannot be used; the message is the reason."""


@dataclass(frozen=True)
class Decoded:
    """A whole video.

    Args:
        frames: (F, S, S, 3) uint8, RGB, in order of display.
        rate: frames per second, None when the file does not say.
    """

    frames: Frames
    rate: float | None


def decode(file: Path, side: int, npy_layout: NpyLayout) -> Decoded:
    """Read a whole file; each frame is cropped to its central square and resized once.

    Args:
        file: a video in any container that FFmpeg reads, or a `.npy` clip.
        side: pixels, side of the result.
        npy_layout: axes of a `.npy` clip, for when its shape alone does not tell.

    Raises:
        UnreadableError: empty, no video, damaged, of a wrong shape, or shorter than a window.
    """
    try:
        if file.stat().st_size == 0:
            raise UnreadableError("the file is empty")
        decoded = _decode_npy(file, side, npy_layout) if file.suffix.lower() == ".npy" else _decode_video(file, side)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    if len(decoded.frames) < MIN_FRAMES:
        raise UnreadableError(f"too short: {len(decoded.frames)} frames, a window needs {MIN_FRAMES}")
    return decoded


def square(image: Image.Image, side: int) -> Frames:
    """Central square of a picture, resized to (side, side, 3) uint8.

    Pillow's bilinear filter widens with the reduction, so it is antialiased (plain bilinear sampling, as the release
    uses, skips pixels when it reduces); it has no negative lobes, so it rings at no edge.
    """
    width, height = image.size
    edge = min(width, height)
    left, top = (width - edge) / 2, (height - edge) / 2
    box = (left, top, left + edge, top + edge)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))


def _decode_video(file: Path, side: int) -> Decoded:
    frames: list[Frames] = []
    try:
        with av.open(str(file)) as container:
            if not container.streams.video:
                raise UnreadableError("no video stream in it")
            stream = container.streams.video[0]
            # One thread for each file: files are decoded side by side, and errors come in order.
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            # Damage that a decoder would paint over is an error: half a video must not pass for a whole one.
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
            end: float | None = None
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise UnreadableError(f"damaged at frame {len(frames)}")
                frames.append(square(Image.fromarray(frame.to_ndarray(format="rgb24")), side))
                end = None if frame.time is None else frame.time + _duration(frame, stream)
            rate = float(stream.average_rate) if stream.average_rate else None
            _check_whole(container, stream, len(frames), end, rate)
    except FFmpegError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UnreadableError(
            f"damaged after {len(frames)} frames: {reason}" if frames else f"not a video, or cut off: {reason}"
        ) from None
    if not frames:
        raise UnreadableError("no frame in it")
    return Decoded(np.stack(frames), rate)


def _duration(frame: av.VideoFrame, stream: av.VideoStream) -> float:
    """Seconds that a frame is shown."""
    if frame.duration and frame.time_base:
        return float(frame.duration * frame.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _check_whole(
    container: InputContainer, stream: av.VideoStream, num_frames: int, end: float | None, rate: float | None
) -> None:
    """A file that was cut off often decodes without an error: its header still promises more than came.

    Where the header tells both, the number of frames and the time must both fall short, by more than rounding: either
    alone is also off in sound files (edit lists, variable frame rates).
    """
    promised = _promised_end(container, stream)
    if promised is None or end is None or rate is None:
        return
    missing = (promised - end) * rate
    slack = 1.5 + 0.02 * num_frames
    if missing > slack and (stream.frames == 0 or stream.frames - num_frames > slack):
        raise UnreadableError(f"cut off: {num_frames} frames, about {round(num_frames + missing)} promised")


def _promised_end(container: InputContainer, stream: av.VideoStream) -> float | None:
    """Seconds at which the video ends by the file's header; None where it does not say."""
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


def _decode_npy(file: Path, side: int, layout: NpyLayout) -> Decoded:
    try:
        clip = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        raise UnreadableError("not a .npy array of numbers, or cut off") from None
    if clip.ndim != 4 or clip.dtype != np.uint8:
        raise UnreadableError(f"expected 4 axes of uint8, got shape {clip.shape} {clip.dtype}")
    # The dataset's own layout where the colour axis fits it; the other one only where that alone can be meant.
    fitting = [name for name, axis in (("HWCT", 2), ("THWC", 3)) if clip.shape[axis] == 3]
    if not fitting:
        axes = ", ".join(layout)
        raise UnreadableError(f"expected ({axes}) with C = 3, got shape {clip.shape}")
    if (layout if layout in fitting else fitting[0]) == "HWCT":
        clip = np.moveaxis(clip, 3, 0)
    if min(clip.shape) == 0:
        raise UnreadableError(f"no pixels in it, shape {clip.shape}")
    return Decoded(np.stack([square(Image.fromarray(np.ascontiguousarray(frame)), side) for frame in clip]), None)
