"""How much one clip may take: a hostile or broken file must cost a line, not the machine."""

from __future__ import annotations

import os
import resource
import stat
import sys
from pathlib import Path
from typing import BinaryIO

GIB = 1 << 30


class UnreadableError(ValueError):
    """The file cannot be used; the message is the reason."""


EMPTY = "the file is empty"

MAX_FILE_BYTES = 64 * GIB
MAX_MEMBER_BYTES = 1 * GIB
"""Of a zip's member, which is read into memory."""

MAX_MEMBERS = 500_000
"""Files in one zip."""

MAX_PIXELS = 8192 * 8192
"""Of a frame: a square of four times the pixels of 8K video."""

MAX_FRAMES = 50_000
"""Of a clip: half an hour at 25 frames a second."""

MAX_MEMORY_BYTES = 4 * GIB
"""Of a process that reads clips, besides what is shared."""

TIMEOUT_S = 900.0
"""Seconds after which a clip is taken to hang: the longest one that is allowed takes minutes."""


def limit_memory() -> None:
    """Bound the memory of this process; what goes beyond fails as MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = MAX_MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(hard, MAX_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def reader_environment() -> dict[str, str]:
    """Build the environment of a process that reads clips: it finds the same modules as this one."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def in_words(num_bytes: int) -> str:
    """Format a number of bytes for people."""
    return f"{num_bytes / GIB:,.1f} GiB" if num_bytes >= GIB else f"{num_bytes / (1 << 20):,.1f} MiB"


def check_pixels(width: int, height: int) -> None:
    """Raise UnreadableError for a frame that nobody films."""
    if width < 1 or height < 1:
        raise UnreadableError(f"its frames claim to be {width} x {height}")
    if width * height > MAX_PIXELS:
        raise UnreadableError(f"its frames claim to be {width:,} x {height:,}; at most {MAX_PIXELS:,} pixels are read")


def check_frames(count: int) -> None:
    """Raise UnreadableError for a clip of too many frames."""
    if count > MAX_FRAMES:
        raise UnreadableError(f"{count:,} frames or more; at most {MAX_FRAMES:,} are read: cut it into shorter clips")


def irregular(mode: int) -> str:
    """Tell what kind of file, other than a regular one, has this mode; empty: it is regular."""
    kinds = {
        stat.S_ISFIFO: "a FIFO",
        stat.S_ISSOCK: "a socket",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
        stat.S_ISDIR: "a folder",
    }
    if stat.S_ISREG(mode):
        return ""
    return next((what for is_kind, what in kinds.items() if is_kind(mode)), "not a file")


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file to read; whatever else has its name by now is refused, without waiting for it.

    Raises:
        UnreadableError: not a regular file, empty, or too large.
        OSError: it cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    file = os.fdopen(descriptor, "rb")
    status = os.fstat(descriptor)
    problem = _problem(status) or ("" if status.st_size else EMPTY)
    if problem:
        file.close()
        raise UnreadableError(problem)
    return file


def irregular_kind(path: Path) -> str:
    """Tell what kind of thing, other than a regular file, is at a path; empty: a regular file, or nothing."""
    try:
        return irregular(path.stat().st_mode)
    except OSError:
        return ""


def file_problem(path: Path) -> str:
    """Tell why a file can't be read whatever is in it; empty: it may be."""
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be opened: {error.strerror}"
    return _problem(status)


def _problem(status: os.stat_result) -> str:
    if status.st_size > MAX_FILE_BYTES:
        return f"{in_words(status.st_size)}; at most {in_words(MAX_FILE_BYTES)} are read"
    return irregular(status.st_mode)
