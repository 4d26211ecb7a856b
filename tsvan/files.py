"""Files that are whole or absent, whatever dies and whenever, and what their contents hash to."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

Progress = Callable[[int, int], None]
"""Called with (done, total) during long work."""

NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""How a file system says that it has no locks."""

_count = itertools.count()
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def shown_path(path: Path) -> str:
    """Return a path for people: relative to where they stand, where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what was written there is synced and renamed to `path` when the block ends well."""
    with temporary(path) as file:
        yield file
        publish(file, path)


@contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """Yield the path of an empty file beside `path`, for `publish`; it is gone when the block ends.

    Its lock says that its writer lives. What a killed writer of `path` left behind has none, and is removed first.
    """
    make_folder(path.parent)
    _drop_leftovers(path)
    found = path.with_name(f".{path.name}.{os.getpid()}{next(_count):06d}.tmp")
    with open(found, "wb") as file:
        try:
            with suppress(OSError):  # a file system without locks: nothing is removed there
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield found
        finally:
            found.unlink(missing_ok=True)


def publish(file: Path, path: Path) -> None:
    """Give a finished file its name. It and its folder are on disk when this returns."""
    with open(file, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(file, path)
    _sync_folder(path.parent)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a whole file or nothing."""
    with replacing(path) as file:
        file.write_bytes(data.encode() if isinstance(data, str) else data)


def write_once(path: Path, data: bytes | str) -> bool:
    """Write a whole file that never replaces another; False: there is one already.

    The file system decides, not what this machine remembers of the folder: on a shared one a file that another machine
    wrote a moment ago may still look absent.
    """
    with temporary(path) as file:
        file.write_bytes(data.encode() if isinstance(data, str) else data)
        with open(file, "rb+") as handle:
            os.fsync(handle.fileno())
        try:
            os.link(file, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return False
            os.replace(file, path)
        _sync_folder(path.parent)
    return True


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Wait until no other process is in a block with the same lock file, which is gone after the last of them.

    On a file system without locks nobody waits.
    """
    while True:
        with open(lock, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
            if _names(lock, file):  # not one that was removed by the process that was waited for
                try:
                    yield
                finally:
                    lock.unlink(missing_ok=True)
                return


def _names(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def make_folder(folder: Path) -> None:
    """Make a folder and what leads to it; their names are on disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def hash_file(path: Path) -> str:
    """Hash a file by SHA-256, hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_json(value: Any) -> str:
    """Hash a plain value by SHA-256, hex; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _drop_leftovers(path: Path) -> None:
    prefix = f".{path.name}."
    for name in os.listdir(path.parent):
        if not (name.startswith(prefix) and name.endswith(".tmp")):
            continue
        with suppress(OSError), open(path.parent / name, "rb") as file:  # held by a living writer, or gone by now
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            (path.parent / name).unlink()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
