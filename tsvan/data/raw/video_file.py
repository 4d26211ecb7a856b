"""A video in a container: the stream that a player shows, upright, with square pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

from tsvan.data.raw.limits import MAX_PIXELS, UnreadableError, check_frames, check_pixels
from tsvan.data.raw.truncation import check_not_truncated, duration
from tsvan.data.raw.upright import upright

_FORMATS = (
    "asf,avi,dv,flv,gif,h264,hevc,ivf,m4v,matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,yuv4mpegpipe"
)
"""Containers of video. FFmpeg goes by contents: others, as playlists, would have it open what a file names."""


class VideoFile:
    """A video, decoded anew at each pass.

    Args:
        file: its content, from wherever it comes; it must be seekable.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        try:
            with self._opened() as (container, stream):
                rate = stream.average_rate or stream.guessed_rate
                self.rate = float(rate) if rate else None
                self.expected: int | None = stream.frames or None
                check_frames(stream.frames)
                first = next(container.decode(stream), None)
                if first is None:
                    raise UnreadableError("no frame in it")
                self._decoded = (first.width, first.height)
                self._upright = upright(first, stream.sample_aspect_ratio)
        except FFmpegError as error:
            raise UnreadableError(_reason(error, 0)) from None
        check_pixels(*self._upright.coded)

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) of the frames as they are shown."""
        return self._upright.size

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield frames as `Footage` says, and refuse damage that a decoder would paint over: half a clip is no clip."""
        count = 0
        try:
            with self._opened() as (container, stream):
                end: float | None = None
                for frame in container.decode(stream):
                    if frame.is_corrupt:
                        raise UnreadableError(f"damaged at frame {count}")
                    if count % every == 0:
                        yield self._picture(frame, count, gray)
                    count += 1
                    check_frames(count)
                    end = None if frame.time is None else frame.time + duration(frame, stream)
                check_not_truncated(container, stream, count, end, self.rate)
        except FFmpegError as error:
            raise UnreadableError(_reason(error, count)) from None
        if not count:
            raise UnreadableError("no frame in it")

    def _picture(self, frame: av.VideoFrame, number: int, gray: bool) -> npt.NDArray[np.uint8]:
        """Convert a decoded frame to (H, W, 3) RGB or (H, W) gray, as it is shown."""
        if (frame.width, frame.height) != self._decoded:
            raise UnreadableError(f"frame {number} is {(frame.width, frame.height)} pixels, the first {self._decoded}")
        width, height = self._upright.coded
        picture = frame.to_ndarray(format="gray" if gray else "rgb24", width=width, height=height)
        return self._upright.shown(np.asarray(picture, dtype=np.uint8))

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, Any]]:
        self._file.seek(0)
        with av.open(self._file, "r", options={"format_whitelist": _FORMATS}, metadata_errors="replace") as container:
            stream = _shown_stream(container)
            check_pixels(stream.codec_context.width, stream.codec_context.height)
            # One thread for each file: files are read side by side, and errors come in order.
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"err_detect": "crccheck+explode", "max_pixels": str(MAX_PIXELS)}
            yield container, stream


def _shown_stream(container: InputContainer) -> Any:
    """Choose the stream that a player shows: no cover picture, and of several the one that FFmpeg's players take."""
    films = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    if not films:
        raise UnreadableError("only a cover picture in it" if container.streams.video else "no video stream in it")
    best = container.streams.best("video")
    return best if best in films else films[0]


_STILL = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


def _reason(error: FFmpegError, num_frames: int) -> str:
    reason = (error.strerror or type(error).__name__).lower()
    return f"damaged after {num_frames} frames: {reason}" if num_frames else f"not a video, or cut off: {reason}"
