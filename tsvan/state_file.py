"""The one reader of state files: JSON of this program, which a crash, a disk or a person may have damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from tsvan.validation import UserError, first_line

T = TypeVar("T")

MADE_AGAIN = "it is made again"


class DamagedFile(UserError):
    """A state file can't be read: a line with the file, why, and what to do.

    Args:
        path: of the file.
        why: in a few words.
        remedy: what becomes of it, or what the user can do.
    """

    def __init__(self, path: Path, why: str, remedy: str) -> None:
        super().__init__(f"{path} is damaged ({why}); {remedy}")
        self.path, self.why, self.remedy = path, why, remedy


class LaterVersion(UserError):
    """A state file holds a key that this version does not know: a later one wrote it, and nothing is wrong with it."""


def read_state(path: Path, kind: type[T], remedy: str, *, without: Iterable[str] = ()) -> T | None:
    """Read a state file.

    Args:
        kind: what the file holds: a dataclass, or a type such as `dict[str, Any]` or `float`.
        remedy: of a damaged file, for people.
        without: keys of a dataclass that older versions wrote and that mean nothing any more.

    Returns:
        What it holds; None: there is no such file.

    Raises:
        DamagedFile: it is empty, cut, of another kind, or can't be opened.
        LaterVersion: it has a key that this version does not know.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedFile(path, error.strerror or str(error), remedy) from None
    if not data.strip(b"\0 \n"):
        raise DamagedFile(path, "it is empty", remedy)
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise DamagedFile(path, "it is not whole JSON", remedy) from None
    try:
        values = _adapter(cast(Any, dict[str, Any] if is_dataclass(kind) else kind)).validate_python(values)
        if not is_dataclass(kind):
            return cast(T, values)
        known = {item.name for item in fields(kind)}
        for name in values:
            if name not in known and name not in set(without):
                raise LaterVersion(
                    f"{path} has the key '{name}', which this version does not know; use the version that wrote it"
                )
        return cast(T, _adapter(cast(Any, kind)).validate_python({key: values[key] for key in values if key in known}))
    except ValidationError as error:
        raise DamagedFile(path, _why(error), remedy) from None


def read_text(path: Path) -> str:
    """Read a text for people, as far as it is one; empty: there is none, or it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def set_aside(path: Path) -> Path:
    """Rename a damaged file, so that it can be looked at, and another one made in its place."""
    aside = path.with_name(f"{path.name}.damaged")
    os.replace(path, aside)
    return aside


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _why(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    key = ".".join(map(str, first["loc"]))
    return first_line(f"{key}: {first['msg']}" if key else first["msg"])
