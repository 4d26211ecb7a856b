"""How a dataset names its files: layouts of paths, and what they say of class, subject and take.

A layout is written as a path with fields, `<class>/**/<clip>`, or, when it starts with `^`, as a regular expression
with named groups. It is matched against the whole path below the source folder, without the file's ending.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from tsvan.validation import STRICT, UserError, nearest

FIELDS = ("class", "subject", "session", "take", "index", "first", "last", "clip")
"""What a layout's fields may be called; `clip` is a name that says nothing."""

_NUMBERS = ("index", "first", "last")


@dataclass(frozen=True, config=STRICT)
class Layout:
    """One way in which a dataset's clips are named.

    Args:
        pattern: the path with fields, or a regular expression that starts with `^`.
        of: what may be named so: `videos` (files, also in zips, and `.npy` clips), `pictures` (folders of pictures), or
            `both`.
        cropped: what is named so shows the subject alone: pictures, and videos that are square.
        name_rate: frames per second in which `<first>` and `<last>` count; a clip lasts (last - first) / name_rate
            seconds, and its rate is its frames over that, whatever its header says.
        doubtful_rate: frames per second that the tool that names files so writes into headers whatever the truth; a
            header that says this says nothing.
        distinctive: nothing but this dataset is named so: `data inspect` may recognise the dataset by it.
    """

    pattern: str
    of: Literal["videos", "pictures", "both"] = "both"
    cropped: bool = False
    name_rate: float | None = Field(default=None, gt=0)
    doubtful_rate: float | None = Field(default=None, gt=0)
    distinctive: bool = True

    def __post_init__(self) -> None:
        groups = set(_compiled(self.pattern, ()).groupindex)
        unknown = sorted(groups - set(FIELDS))
        if unknown:
            raise UserError(
                f"unknown field '{unknown[0]}' in the layout '{self.pattern}'; {nearest(unknown[0], FIELDS)}"
            )
        if self.name_rate is not None and not {"first", "last"} <= groups:
            raise UserError(f"name_rate needs the fields <first> and <last> in the layout '{self.pattern}'")

    @property
    def fields(self) -> frozenset[str]:
        """Return the fields that the layout names."""
        return frozenset(_compiled(self.pattern, ()).groupindex)

    def match(self, path: str, classes: tuple[str, ...]) -> Iterator[dict[str, str]]:
        """Read a path, in the ways that it can be read: with one of the classes, then with any.

        Args:
            path: below the source folder, without the ending.
            classes: names that the class may have, so that `<subject>_<class>` finds `hand_wave` in `ann_hand_wave`.

        Yields:
            Field -> text, of the fields that are there.
        """
        for known in (classes, ()) if classes else ((),):
            found = _compiled(self.pattern, known).fullmatch(path)
            if found:
                yield {name: text for name, text in found.groupdict().items() if text}


def _as_mapping(value: Any) -> Any:
    return {"pattern": value} if isinstance(value, str) else value


LayoutEntry = Annotated[Layout, BeforeValidator(_as_mapping)]
"""A layout in YAML: its pattern alone, or a mapping of its keys."""


@cache
def _compiled(pattern: str, classes: tuple[str, ...]) -> re.Pattern[str]:
    text = pattern if pattern.startswith("^") else _expression(pattern, classes)
    try:
        return re.compile(text)
    except re.error as error:
        raise UserError(f"the layout '{pattern}' is not a valid pattern: {error}") from None


def _expression(pattern: str, classes: tuple[str, ...]) -> str:
    """Build the regular expression of a path with fields."""
    parts = []
    for part in re.split(r"(\*\*/|\*|<\w+>)", pattern):
        if part == "**/":
            parts.append("(?:.*/)?")
        elif part == "*":
            parts.append("[^/]*")
        elif part.startswith("<") and part.endswith(">"):
            parts.append(_group(part[1:-1], classes))
        else:
            parts.append(re.escape(part))
    return "".join(parts)


def _group(name: str, classes: tuple[str, ...]) -> str:
    if name in _NUMBERS:
        return rf"(?P<{name}>\d+)"
    if name == "class" and classes:
        names = "|".join(re.escape(known) for known in sorted(classes, key=len, reverse=True))
        return f"(?P<class>(?i:{names}))"
    return f"(?P<{name}>[^/]+?)"
