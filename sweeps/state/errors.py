"""Troubles that are no bug and no result: storage that is full, read-only or locked."""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from sweeps.state.uris import without_secrets
from tsvan.out_of_memory import causes
from tsvan.validation import UserError, first_line

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM)
_TORCH_CANNOT_WRITE = ("PytorchStreamWriter failed", "file write failed", "iostream error")
_DATABASE = {
    "full": "free space",
    "readonly": "allow writing",
    "disk I/O": "see to the disk",
    "unable to open": "see to its folder",
}
_GOES_ON = "nothing is lost: when it answers, run the same command again"
_TEMPORARY = re.compile(r"^\.(.+)\.\d+\.tmp$")


class StorageError(UserError):
    """The study can't be written; it is whole, and goes on when the cause is gone."""


class ClusterLost(BaseException):
    """Ray's own processes are gone, and with them the workers. What ran goes on in another cluster.

    No Exception: Ray Tune would clean up in a cluster that is not there, and a study must not take it for a result.
    """


def storage_error(error: BaseException, folder: Path) -> str | None:
    """Say what is wrong with the storage, in a line that says what to do; None: it is another kind of error.

    Args:
        error: as it was caught; what caused it is looked at, too.
        folder: named where the error names no file.
    """
    for link in causes(error):
        if isinstance(link, StorageError):
            return str(link)
        if isinstance(link, sqlite3.Error) and (line := _database(link, folder)):
            return line
        if (
            isinstance(link, DBAPIError)
            and not isinstance(link.orig, sqlite3.Error)
            and not isinstance(error, UserError)
        ):
            said = without_secrets(first_line(link.orig or link))
            return f"the Optuna study's database does not take the study ({said}); {_GOES_ON}"
        if isinstance(link, OSError) and link.errno in (*_NO_SPACE, *_NO_WRITING, errno.EIO):
            return _line(_shown(link.filename) or str(folder), link.strerror or str(link), _remedy(link.errno))
        if isinstance(link, RuntimeError) and any(words in str(link) for words in _TORCH_CANNOT_WRITE):
            return _line(str(folder), "no space left, or no permission", "free space")
    return None


def _database(error: sqlite3.Error, folder: Path) -> str | None:
    text = str(error)
    if "locked" in text:
        return f"a database of {folder} is locked by another program; end that and run the same command again"
    remedy = next((remedy for word, remedy in _DATABASE.items() if word in text), None)
    return None if remedy is None else _line(f"a database of {folder}", text, remedy)


def _remedy(number: int | None) -> str:
    return "free space" if number in _NO_SPACE else "allow writing" if number in _NO_WRITING else "see to the disk"


def _line(where: str, what: str, remedy: str) -> str:
    return f"cannot write {where}: {what}; {remedy} and run the same command again"


def _shown(name: object) -> str:
    """Return a file's name without the decoration of the temporary one."""
    if not isinstance(name, (str, Path)):
        return ""
    path = Path(name)
    found = _TEMPORARY.match(path.name)
    return str(path.with_name(found.group(1)) if found else path)
