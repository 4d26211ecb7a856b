"""What a file's name says: who, which class, which recording."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from tsvan.data.datasets import DatasetRules
from tsvan.validation import nearest


@dataclass(frozen=True)
class Identity:
    """One source file by its name.

    Args:
        person: person, subject, actor or speaker.
        action: class name.
        recording: what must not be on both sides of a split: MUG's take, VoxCeleb's source video; SynAction's sequence.
        index: SynAction's index, MUG's part, VoxCeleb's first frame; None: not given.
    """

    person: str
    action: str
    recording: str = ""
    index: int | None = None


class UnnamedError(ValueError):
    """The name is not one of the dataset's; the message is the reason."""


class IgnoredError(ValueError):
    """The name is one of the original set's but is no part of the task; the message is the reason."""


def identify(rules: DatasetRules, file: str) -> Identity:
    """Read a file's name.

    Args:
        rules: the dataset.
        file: path below the source folder, with forward slashes.

    Raises:
        UnnamedError: the name is not understood.
        IgnoredError: a file that the dataset's task does not use.
    """
    return _READERS[rules.name](rules, PurePosixPath(file))


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorting key: `take2` before `take10`; ties between spellings of a number (`2`, `02`) go by the text."""
    parts = [part for part in re.split(r"(\d+)", text) if part]
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)


def _weizmann(rules: DatasetRules, path: PurePosixPath) -> Identity:
    person, _, action = path.stem.rpartition("_")
    if not person or not action:
        raise UnnamedError(_NOT_UNDERSTOOD)
    action = action.lower()
    # lena_run1 and lena_run2 are two takes of one action; wave1 and wave2 are two actions.
    if action not in rules.classes and action[:-1] in rules.classes and action[-1].isdecimal():
        return Identity(person, action[:-1], recording=action[-1])
    return Identity(person, _known(rules, action))


def _mug(rules: DatasetRules, path: PurePosixPath) -> Identity:
    fields = path.stem.split("_")
    if len(fields) == 3:
        return _whole_take(fields[0], _known(rules, fields[1].lower()), fields[2])
    if len(fields) == 4 and fields[3].isdecimal():
        return Identity(fields[0], _known(rules, fields[1].lower()), recording=fields[2], index=int(fields[3]))
    if len(path.parts) < 3:
        raise UnnamedError(_NOT_UNDERSTOOD)
    # <subject>/[session*/]<expression>/<take>, a file or a folder of pictures
    *above, expression = path.parts[:-1]
    session = f"{above.pop()}/" if above[-1].lower().startswith("session") else ""
    if not above:
        raise UnnamedError(_NOT_UNDERSTOOD)
    return _whole_take(above[-1], _known(rules, expression.lower()), session + path.stem)


def _whole_take(person: str, action: str, take: str) -> Identity:
    if take.lower().endswith("end"):
        raise IgnoredError("takes that end in 'end' are not used")
    return Identity(person, action, recording=take)


def _synaction(rules: DatasetRules, path: PurePosixPath) -> Identity:
    fields = path.stem.split("_")
    if len(fields) != 4 or not all(fields) or not fields[3].isdecimal():
        raise UnnamedError(_NOT_UNDERSTOOD)
    actor, action, sequence, index = fields
    if action.isdecimal():
        if int(action) >= len(rules.classes):
            raise UnnamedError(f"action {action} is not an index from 0 to {len(rules.classes) - 1}")
        action = rules.classes[int(action)]
    return Identity(actor, _known(rules, action.lower()), recording=sequence, index=int(index))


def _vox(rules: DatasetRules, path: PurePosixPath) -> Identity:
    fields = path.stem.split("#")
    if len(fields) == 4 and fields[0] and fields[1] and fields[2].isdecimal() and fields[3].isdecimal():
        return Identity(fields[0], rules.classes[0], recording=fields[1], index=int(fields[2]))
    parts = path.parts
    if "1.6" in parts[1:-1]:  # the scale of the published face frames: <name>/1.6/<video>[/<track>]
        at = parts.index("1.6", 1)
        track = parts[-1] if len(parts) > at + 2 else ""
        return Identity(parts[at - 1], rules.classes[0], parts[at + 1], int(track) if track.isdecimal() else None)
    while len(parts) > 2 and parts[0].lower() in _SPLIT_FOLDERS:
        parts = parts[1:]
    if len(parts) == 1 or parts[0].lower() in _SPLIT_FOLDERS:
        raise UnnamedError(_NOT_UNDERSTOOD)
    # <speaker>/<video>/<utterance>.mp4, as VoxCeleb itself is laid out, or <speaker>/<video>.mp4
    return Identity(parts[0], rules.classes[0], recording=parts[1] if len(parts) > 2 else path.stem)


def _known(rules: DatasetRules, action: str) -> str:
    if action in rules.ignored:
        raise IgnoredError(f"'{action}' is not one of the classes that the paper uses")
    if action not in rules.classes:
        raise UnnamedError(f"unknown class '{action}'; {nearest(action, rules.classes)}")
    return action


_NOT_UNDERSTOOD = "the name is not understood"

_SPLIT_FOLDERS = ("train", "test", "val", "dev", "mp4")
"""Folders above the speakers that say nothing about them; who is held out is decided here, for scoring only."""

_READERS: dict[str, Callable[[DatasetRules, PurePosixPath], Identity]] = {
    "weizmann": _weizmann,
    "mug": _mug,
    "synaction": _synaction,
    "vox": _vox,
}
