"""A clip as it lies on disk: a video file, a member of a zip, a published `.npy` clip, or a folder of pictures.

All give their frames in order, as often as asked, and the reason when they cannot.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.error import FFmpegError
from PIL import Image

from tsvan.data.datasets import NpyAxes
from tsvan.data.raw.truncation import UnreadableError, check_whole, duration

__all__ = ["Footage", "Frames", "UnreadableError", "open_footage"]

Frames = npt.NDArray[np.uint8]


class Footage(Protocol):
    """One clip's frames.

    `rate` is in frames per second, None when the source does not say; `size` is (width, height) of the first frame in
    pixels; `expected` the number of frames, None when it is not known before reading.
    """

    @property
    def rate(self) -> float | None: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def expected(self) -> int | None: ...

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[Frames]:
        """Every n-th frame from the first on: (H, W, 3) RGB, or (H, W) gray, which may come reduced in size.

        Raises:
            UnreadableError: damaged, cut off, or of changing size.
        """
        ...


def open_footage(
    folder: Path, file: str, npy_layout: NpyAxes, archive: str | None = None, pictures: tuple[str, ...] = ()
) -> tuple[Footage, str]:
    """Open one clip.

    Args:
        folder: the source folder.
        file: path below it: of a file, of a zip's member behind the zip's own path, or of a folder of pictures.
        npy_layout: axes of a `.npy` clip, for when its shape alone does not tell.
        archive: the zip's path below the folder.
        pictures: names in the folder of pictures, in order.

    Returns:
        The frames, and the SHA-256 of the source's contents, hex.

    Raises:
        UnreadableError: empty, not a clip, or unreadable.
    """
    try:
        if pictures:
            return Pictures([folder / file / name for name in pictures]), _hash_pictures(folder / file, pictures)
        content = _member(folder, file, archive) if archive else (folder / file).read_bytes()
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror or error}") from None
    if not content:
        raise UnreadableError("the file is empty")
    opened = NpyClip(content, npy_layout) if file.lower().endswith(".npy") else Video(content)
    return opened, hashlib.sha256(content).hexdigest()


class Video:
    """Any container that FFmpeg reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        try:
            with self._opened() as (_, stream):
                self.rate = float(stream.average_rate) if stream.average_rate else None
                self.size = (stream.width, stream.height)
                self.expected = stream.frames or None
        except FFmpegError as error:
            raise UnreadableError(_ffmpeg_reason(error, 0)) from None

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[Frames]:
        """See `Footage`; damage that a decoder would paint over is an error: half a video is not a whole one."""
        count = 0
        try:
            with self._opened() as (container, stream):
                end: float | None = None
                for frame in container.decode(stream):
                    if frame.is_corrupt:
                        raise UnreadableError(f"damaged at frame {count}")
                    if count % every == 0:
                        yield frame.to_ndarray(format="gray" if gray else "rgb24")
                    count += 1
                    end = None if frame.time is None else frame.time + duration(frame, stream)
                check_whole(container, stream, count, end, self.rate)
        except FFmpegError as error:
            raise UnreadableError(_ffmpeg_reason(error, count)) from None
        if not count:
            raise UnreadableError("no frame in it")

    @contextmanager
    def _opened(self) -> Iterator[tuple[InputContainer, Any]]:
        with av.open(io.BytesIO(self._content), "r") as container:
            if not container.streams.video:
                raise UnreadableError("no video stream in it")
            stream = container.streams.video[0]
            # One thread for each file: files are read side by side, and errors come in order.
            stream.thread_type = "NONE"
            stream.codec_context.thread_count = 1
            stream.codec_context.options = {"err_detect": "crccheck+explode"}
            yield container, stream


class NpyClip:
    """A clip as the authors publish them: four axes of uint8, (H, W, C, T) or (T, H, W, C)."""

    rate = None

    def __init__(self, content: bytes, layout: NpyAxes) -> None:
        try:
            clip = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError, OSError):
            raise UnreadableError("not a .npy array of numbers, or cut off") from None
        if clip.ndim != 4 or clip.dtype != np.uint8:
            raise UnreadableError(f"expected 4 axes of uint8, got shape {clip.shape} {clip.dtype}")
        # The dataset's own layout where the colour axis fits it; the other one only where that alone can be meant.
        fitting = [name for name, axis in (("HWCT", 2), ("THWC", 3)) if clip.shape[axis] == 3]
        if not fitting:
            raise UnreadableError(f"expected ({', '.join(layout)}) with C = 3, got shape {clip.shape}")
        if (layout if layout in fitting else fitting[0]) == "HWCT":
            clip = np.moveaxis(clip, 3, 0)
        if min(clip.shape) == 0:
            raise UnreadableError(f"no pixels in it, shape {clip.shape}")
        self._clip = clip
        self.size = (clip.shape[2], clip.shape[1])
        self.expected: int | None = len(clip)

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[Frames]:
        """See `Footage`."""
        for frame in self._clip[::every]:
            yield _gray(Image.fromarray(np.ascontiguousarray(frame))) if gray else np.ascontiguousarray(frame)


class Pictures:
    """A folder of pictures, one a frame, numbered by their names; a hole in the numbers ends the clip's longest run."""

    def __init__(self, files: list[Path]) -> None:
        self._files, gap = _longest_run(files)
        # Numbers that go up by g are every g-th frame of video at 25 frames a second, as the talking faces' are.
        self.rate = 25.0 / gap
        self.expected: int | None = len(self._files)
        with _picture(self._files[0]) as first:
            self.size = first.size

    def frames(self, *, every: int = 1, gray: bool = False) -> Iterator[Frames]:
        """See `Footage`."""
        for file in self._files[::every]:
            with _picture(file) as picture:
                if picture.size != self.size:
                    raise UnreadableError(f"{file.name} is {picture.size}, the first picture {self.size}")
                if gray:
                    picture.draft("L", (400, 400))  # JPEG decodes to a smaller size, many times faster
                yield _gray(picture) if gray else np.asarray(picture.convert("RGB"))


def _gray(picture: Image.Image) -> Frames:
    return np.asarray(picture.convert("L"))


@contextmanager
def _picture(file: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(file) as picture:
            yield picture
    except OSError as error:
        raise UnreadableError(f"{file.name}: {error.strerror or 'not a picture, or cut off'}") from None


def _longest_run(files: list[Path]) -> tuple[list[Path], int]:
    """The longest run of pictures whose numbers go up evenly, and by how much; all where names have no numbers."""
    numbers = [int(found[-1]) if (found := re.findall(r"\d+", file.stem)) else None for file in files]
    if len(files) < 2 or None in numbers:
        return files, 1
    known = np.array(numbers, dtype=np.int64)
    steps = np.diff(known)
    gap = max(1, int(np.median(steps)))
    borders = np.flatnonzero(steps != gap) + 1
    runs = np.split(np.arange(len(files)), borders)
    longest = max(runs, key=len)
    return [files[place] for place in longest], gap


def _member(folder: Path, file: str, archive: str) -> bytes:
    try:
        with zipfile.ZipFile(folder / archive) as opened:
            return opened.read(file.removeprefix(f"{archive}/"))
    except (zipfile.BadZipFile, KeyError, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadableError(f"damaged in its zip: {error}") from None


def _hash_pictures(folder: Path, names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + b"\0" + hashlib.sha256((folder / name).read_bytes()).digest())
    return digest.hexdigest()


def _ffmpeg_reason(error: FFmpegError, num_frames: int) -> str:
    reason = (error.strerror or type(error).__name__).lower()
    return f"damaged after {num_frames} frames: {reason}" if num_frames else f"not a video, or cut off: {reason}"
