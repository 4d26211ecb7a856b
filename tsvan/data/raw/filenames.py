"""What a file's name says: who, which class, which take."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tsvan.data.datasets import DatasetRules
from tsvan.data.naming import Layout
from tsvan.data.raw.endings import without_ending
from tsvan.validation import nearest

Kind = Literal["videos", "pictures"]


@dataclass(frozen=True)
class Identity:
    """One source file by its name.

    Args:
        subject: person, subject, actor or speaker; empty: not said.
        class_name: of the dataset's classes.
        take: what must not be on both sides of a split: a take, a session, a source video; empty: not said.
        index: of a part of a take, or its first frame in it; None: not given.
        seconds: how long it lasts by its name; None: not said.
    """

    subject: str
    class_name: str
    take: str = ""
    index: int | None = None
    seconds: float | None = None


class UnnamedError(ValueError):
    """The name is not one of the dataset's; the message is the reason."""


class IgnoredError(ValueError):
    """The name is one of the original set's but is no part of the task; the message is the reason."""


def identify(rules: DatasetRules, file: str, kind: Kind = "videos") -> Identity:
    """Read a file's name; see `read_name`."""
    return read_name(rules, file, kind)[0]


def read_name(rules: DatasetRules, file: str, kind: Kind = "videos") -> tuple[Identity, Layout]:
    """Read a file's name.

    Args:
        rules: the dataset.
        file: path below the source folder, with forward slashes.
        kind: a file, or a folder of pictures.

    Returns:
        What it says, and the layout that it has.

    Raises:
        UnnamedError: the name is not understood.
        IgnoredError: a file that the dataset's task does not use.
    """
    path = without_ending(file)
    problem: ValueError | None = None
    for layout in rules.layouts:
        if layout.of not in (kind, "both"):
            continue
        for found in layout.match(path, rules.classes):
            try:
                return _identity(rules, layout, found), layout
            except (UnnamedError, IgnoredError) as error:
                problem = problem or error
    raise problem or UnnamedError(_NOT_UNDERSTOOD)


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Build a sorting key: `take2` before `take10`; ties between spellings of a number (`2`, `02`) go by the text."""
    parts = [part for part in re.split(r"(\d+)", text) if part]
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _identity(rules: DatasetRules, layout: Layout, found: dict[str, str]) -> Identity:
    if "class" in layout.fields:
        class_name = _class(rules, found["class"])
    else:
        (class_name,) = rules.classes
    take = "/".join(found[name] for name in ("session", "take") if name in found)
    first, last = found.get("first"), found.get("last")
    index = found.get("index", first)
    if index is None and take.lower().endswith(rules.ignored_takes):
        raise IgnoredError(f"takes that end in '{take[-3:]}' are not used")
    seconds = None
    if layout.name_rate is not None and first is not None and last is not None and int(last) > int(first):
        seconds = (int(last) - int(first)) / layout.name_rate
    return Identity(found.get("subject", ""), class_name, take, None if index is None else int(index), seconds)


def _class(rules: DatasetRules, text: str) -> str:
    if not rules.classes:
        return text
    if rules.class_numbers and text.isdecimal():
        if int(text) >= len(rules.classes):
            raise UnnamedError(f"class {text} is not an index from 0 to {len(rules.classes) - 1}")
        return rules.classes[int(text)]
    for known in rules.classes:
        if text.lower() == known.lower():
            return known
    if text.lower() in map(str.lower, rules.ignored_classes):
        raise IgnoredError(f"'{text}' is not one of the classes that are used")
    raise UnnamedError(f"unknown class '{text}'; {nearest(text, rules.classes)}")


_NOT_UNDERSTOOD = "the name is not understood"
