"""A dataset's YAML for a folder of videos that is of none of those that ship, by its folders and names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import yaml

from tsvan.data.datasets import DATASETS, DatasetRules, HeldOut, Playback
from tsvan.data.naming import Layout
from tsvan.data.raw.endings import without_ending
from tsvan.data.raw.filenames import identify, natural
from tsvan.data.raw.listing import list_folder
from tsvan.validation import UserError

_SPLIT_FOLDERS = ("train", "training", "test", "testing", "val", "validation", "valid", "dev")
"""Folders that say nothing of classes."""

_ANY = DatasetRules(name="any", layouts=(Layout("**/<clip>"),), classes=("all",))

_GROUPED = "_g<take>_c*"
"""How UCF-101 and its kin name the clips that are cut out of one video."""

_WORD_AND_NUMBERS = r"^(?:.*/)?(?P<class>[^/]*?[^\W\d_])[\W_]*\d[\d\W_]*$"

_FEW = 2
"""Clips of a class below which its files can't be split."""


def propose(source: Path, name: str | None = None, follow_links: bool = False) -> DatasetRules:
    """Propose what a folder is, by its names.

    Args:
        source: the folder.
        name: of the dataset; None: after the folder.
        follow_links: look into folders that links lead to, too.

    Raises:
        UserError: no video in it.
    """
    try:
        listing = list_folder(_ANY, source, follow_links=follow_links)
    except UserError:
        raise UserError(f"{source} holds no video; give the folder that holds the videos") from None
    paths = [without_ending(candidate.file) for candidate in listing.candidates]
    if not paths:
        file, reason = listing.rejected[0]
        raise UserError(f"{source} holds no video that can be used ({file}: {reason}); give a folder of videos")
    found = _by_names(name or _name_of(source), paths)
    classes = [identify(found, path).class_name for path in paths]
    counts = Counter(classes)
    if found.held_out.by == "file" and min(counts.values()) < _FEW:
        found = replace(found, held_out=HeldOut(by="time"))
    if len(counts) < 2:
        return replace(found, classes=tuple(counts), heads=("playback step",), objectives=("kernel_distance",))
    return replace(found, classes=tuple(sorted(counts, key=natural)))


def fitted(found: DatasetRules, num_flagged: int, num_clips: int) -> DatasetRules:
    """Play every frame where many clips are too short for a step."""
    return replace(found, playback=Playback()) if num_flagged > 0.2 * num_clips else found


def to_yaml(found: DatasetRules) -> str:
    """Build the YAML of a proposal, with a word on each key."""
    layouts = [layout.pattern for layout in found.layouts]
    rate = found.playback.target_rate
    playback = {"target_rate": rate} if rate else {"step": found.playback.step}
    held_out = {"by": found.held_out.by, "one_in": found.held_out.one_in}
    lines = [
        ("name", found.name, "in commands, folders and MLflow"),
        ("layouts", layouts, "paths below the folder, without the ending; fields: class, subject, take, clip"),
        ("classes", list(found.classes), "in the order of their labels; leave it out: as found"),
        ("side", found.side, "pixels of the stored square; a crop of 64 is trained on"),
        ("playback", playback, "step: every n-th frame; or target_rate: frames a second to come near to"),
        ("centring", {"by": found.centring.by}, "none: the central square; face; motion: follow what moves"),
        ("held_out", held_out, "which clips test: by subject, take, file, or time (the end of each file)"),
        ("heads", list(found.heads), "what the scorer tells apart"),
        ("objectives", list(found.objectives), "what a study is judged by, the preferred one first"),
        ("published", found.published, "the published settings to start from"),
    ]
    text = "# Proposed by `python -m tsvan data inspect`; every key: docs/datasets.md\n"
    return text + "".join(f"# {note}\n{_dumped(key, value)}" for key, value, note in lines)


def _by_names(name: str, paths: Sequence[str]) -> DatasetRules:
    """Propose the layout and what is held out, going by the files' names."""
    playback = Playback(target_rate=12.5)
    above = _levels_above_classes(paths)
    if above is not None:
        layout = "*/" * above + "<class>/**/"
        if all(re.search(r"_g\d+_c\d+$", path) for path in paths):
            return DatasetRules(
                name=name, layouts=(Layout(f"{layout}*{_GROUPED}"),), playback=playback, held_out=HeldOut(by="take")
            )
        return DatasetRules(name=name, layouts=(Layout(f"{layout}<clip>"),), playback=playback)
    named = [re.fullmatch(_WORD_AND_NUMBERS, path) for path in paths]
    classes = {found["class"] for found in named if found}
    if all(named) and 2 <= len(classes) <= len(paths) / _FEW:
        return DatasetRules(name=name, layouts=(Layout(_WORD_AND_NUMBERS),), playback=playback)
    return DatasetRules(name=name, layouts=(Layout("**/<clip>"),), classes=("all",), playback=playback)


def _levels_above_classes(paths: Iterable[str]) -> int | None:
    """Count the levels of folders above those that are the classes: one folder that holds all, or train and test; None:
    there is no level of several folders."""
    folders = [PurePosixPath(path).parent.parts for path in paths]
    for level in range(min(map(len, folders))):
        names = {parts[level] for parts in folders}
        if len(names) > 1 and not {name.lower() for name in names} <= set(_SPLIT_FOLDERS):
            return level
    return None


def _name_of(source: Path) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", source.resolve().name).strip("-_")[:64] or "mine"
    return f"my-{name}"[:64] if name in DATASETS else name


def _dumped(key: str, value: object) -> str:
    flow = isinstance(value, (dict, list))
    return yaml.safe_dump({key: value}, default_flow_style=None if flow else False, width=110, allow_unicode=True)
