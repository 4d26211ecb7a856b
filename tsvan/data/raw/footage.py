"""A clip as it lies on disk: a video file, a member of a zip, a published `.npy` clip, or a folder of pictures.

All give their frames in order and upright, as often as asked, and the reason when they cannot.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from tsvan.data.datasets import NpyAxes
from tsvan.data.raw.array_clip import ArrayClip
from tsvan.data.raw.endings import ARRAY, ending
from tsvan.data.raw.limits import EMPTY, MAX_MEMBER_BYTES, UnreadableError, in_words, open_regular
from tsvan.data.raw.picture_folder import PictureFolder
from tsvan.data.raw.video_file import VideoFile

__all__ = ["Footage", "Frames", "UnreadableError", "open_footage"]

Frames = npt.NDArray[np.uint8]


class Footage(Protocol):
    """One clip's frames, as a player shows them.

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
        """Yield every n-th frame from the first on: (H, W, 3) RGB, or (H, W) gray, which may come reduced in size.

        Raises:
            UnreadableError: damaged, cut off, or of changing size.
        """
        ...


def open_footage(
    folder: Path, file: str, npy_axes: NpyAxes, archive: str | None = None, pictures: tuple[str, ...] = ()
) -> tuple[Footage, str]:
    """Open one clip.

    Args:
        folder: the source folder.
        file: path below it: of a file, of a zip's member behind the zip's own path, or of a folder of pictures.
        npy_axes: axes of a `.npy` clip, for when its shape alone does not tell.
        archive: the zip's path below the folder.
        pictures: names in the folder of pictures, in order.

    Returns:
        The frames, and the SHA-256 of the source's contents, hex.

    Raises:
        UnreadableError: empty, not a clip, or unreadable.
    """
    try:
        if pictures:
            files = [folder / file / name for name in pictures]
            return PictureFolder(files), _hash_pictures(files)
        content = _member(folder, file, archive) if archive else open_regular(folder / file)
        sha256 = _hash(content).hexdigest()
        content.seek(0)
        return ArrayClip(content, npy_axes) if ending(file) == ARRAY else VideoFile(content), sha256
    except OSError as error:
        raise UnreadableError(f"cannot be opened: {error.strerror or error}") from None


def _member(folder: Path, file: str, archive: str) -> BinaryIO:
    """Read a zip's member into memory: decoders go back and forth in it."""
    try:
        with open_regular(folder / archive) as content, zipfile.ZipFile(content) as opened:
            info = opened.getinfo(file.removeprefix(f"{archive}/"))
            if info.file_size > MAX_MEMBER_BYTES:
                raise UnreadableError(_too_large(info.file_size))
            with opened.open(info) as member:
                found = member.read(MAX_MEMBER_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, EOFError, RuntimeError, NotImplementedError) as error:
        raise UnreadableError(f"damaged in its zip: {error}") from None
    if len(found) > MAX_MEMBER_BYTES:
        raise UnreadableError(_too_large(len(found)))
    if not found:
        raise UnreadableError(EMPTY)
    return io.BytesIO(found)


def _too_large(num_bytes: int) -> str:
    return f"{in_words(num_bytes)} in a zip; at most {in_words(MAX_MEMBER_BYTES)} are read from one: unpack it"


def _hash(content: BinaryIO) -> hashlib._Hash:
    digest = hashlib.sha256()
    while block := content.read(1 << 20):
        digest.update(block)
    return digest


def _hash_pictures(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        with open_regular(file) as content:
            digest.update(file.name.encode() + b"\0" + _hash(content).digest())
    return digest.hexdigest()
