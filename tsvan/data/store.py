"""The clip store: memory-mapped uint8 frames and an index, written once, read by any number of trials at once.

A store is a folder with `frames.npy`, (F, S, S, 3) uint8, RGB, and `index.json`. Frames are mapped, never read into
memory as a whole: all processes on a machine share the same pages.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tsvan.data.datasets import DATASETS, MIN_FRAMES, DatasetRules, rules, span
from tsvan.data.splits import Split
from tsvan.files import hash_json
from tsvan.validation import UserError, build

FORMAT = "tsvan-clip-store"
VERSION = 1
INDEX = "index.json"
FRAMES = "frames.npy"

DataSource = Literal["real", "synthetic"]


class Rejection(NamedTuple):
    """A file, or a part of one, that is not in the store."""

    file: str
    reason: str


@dataclass(frozen=True)
class Clip:
    """A run of rows [start, start + num_frames) of the frames: one source video, or its part on one side of the split.

    Args:
        start: first row.
        num_frames: rows, at least ten.
        label: index into the store's classes.
        person: index into the store's people.
        split: `train` or `test`.
        frame_step: rows between two frames of a window.
        flagged: the clip is too short for its dataset's step, so the step is 1.
        source: the file it comes from, below the source folder.
        source_sha256: hash of that file, hex.
    """

    start: int
    num_frames: int
    label: int
    person: int
    split: Split
    frame_step: int
    flagged: bool
    source: str
    source_sha256: str


@dataclass(frozen=True, eq=False)
class ClipStore:
    """An opened store; two stores with the same `content_hash` give the same training and the same scores.

    Args:
        path: its folder.
        rules: the dataset that it is of.
        data_source: `real`, or `synthetic` for drawn stand-in videos.
        side: pixels, side of its square frames.
        classes: classes of the train split, in the dataset's canonical order.
        people: persons, subjects, actors or speakers.
        clips: all clips, train and test.
        rejected: files that could not be used, with the reason.
        left_out: files and parts that the dataset's rules do not use, with the reason.
        split_rule: whose split: the `supplement`'s or the `release`'s.
        layout: what the source folder was, in words; empty for drawn clips.
        centring: how the clips were centred, in words.
        content_hash: hash over frames, classes, people and clips, hex; independent of machine and folder.
        frames_sha256: hash over the frames alone, hex.
    """

    path: Path
    rules: DatasetRules
    data_source: DataSource
    side: int
    classes: tuple[str, ...]
    people: tuple[str, ...]
    clips: tuple[Clip, ...]
    rejected: tuple[Rejection, ...]
    left_out: tuple[Rejection, ...]
    split_rule: str
    layout: str
    centring: str
    content_hash: str
    frames_sha256: str

    @classmethod
    def open(cls, path: Path | str, dataset: str | DatasetRules | None = None) -> ClipStore:
        """Open a store read-only and check its index and its size; `verify` checks every frame.

        Args:
            path: the store's folder.
            dataset: the name or the rules of the dataset that it must be of; None: any.

        Raises:
            UserError: no store there, one of another dataset or version, or a damaged one.
        """
        path = Path(path)
        index = _read_index(path)
        store = cls(
            path=path,
            rules=_rules_of(path, index, dataset),
            data_source=index["data_source"],
            side=index["side"],
            classes=tuple(index["classes"]),
            people=tuple(index["people"]),
            clips=tuple(Clip(**values) for values in index["clips"]),
            rejected=tuple(Rejection(*pair) for pair in index["rejected"]),
            left_out=tuple(Rejection(*pair) for pair in index["left_out"]),
            # Stores made before these were noted had the supplement's split and central squares.
            split_rule=index.get("split_rule", "supplement"),
            layout=index.get("layout", ""),
            centring=index.get("centring", ""),
            content_hash=index["content_hash"],
            frames_sha256=index["frames_sha256"],
        )
        if len(store.frames) != index["num_frames"]:
            raise _damaged(path, f"{FRAMES} holds {len(store.frames)} frames, {INDEX} says {index['num_frames']}")
        return store

    @cached_property
    def frames(self) -> np.memmap[Any, np.dtype[np.uint8]]:
        """Map all frames, (F, S, S, 3) uint8, into memory, read-only."""
        file = self.path / FRAMES
        try:
            frames: np.memmap[Any, np.dtype[np.uint8]] = np.load(file, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise _damaged(self.path, f"{FRAMES} is missing") from None
        except (ValueError, EOFError, OSError):
            # The map is refused when the file is shorter than its header says.
            raise _damaged(self.path, f"{FRAMES} is cut short or is no array") from None
        if frames.dtype != np.uint8 or frames.shape[1:] != (self.side, self.side, 3):
            raise _damaged(
                self.path, f"{FRAMES} is {frames.shape} {frames.dtype}, not (F, {self.side}, {self.side}, 3)"
            )
        return frames

    def __getstate__(self) -> dict[str, Any]:
        # A map that travels to another process would travel as all its bytes.
        return {name: value for name, value in self.__dict__.items() if name != "frames"}

    @property
    def dataset(self) -> str:
        """Return the dataset's name."""
        return self.rules.name

    @property
    def num_classes(self) -> int:
        """Return K, the number of classes of the train split."""
        return len(self.classes)

    def split(self, name: Split) -> tuple[Clip, ...]:
        """Return the clips of one side of the split."""
        return tuple(clip for clip in self.clips if clip.split == name)

    def verify(self) -> None:
        """Read every frame and compare with the hash that was taken when the store was written.

        Raises:
            UserError: a frame has changed.
        """
        digest = hashlib.sha256()
        for first in range(0, len(self.frames), 4096):
            digest.update(self.frames[first : first + 4096].data)
        if digest.hexdigest() != self.frames_sha256:
            raise _damaged(self.path, f"{FRAMES} has changed since it was written")


def content_hash(frames_sha256: str, index: dict[str, Any]) -> str:
    """Hash what training and scoring can see: frames, labels, splits and steps; not folders or rejected files."""
    seen = ("dataset", "data_source", "side", "classes", "people", "clips")
    return hash_json({"version": VERSION, "frames": frames_sha256, **{key: index[key] for key in seen}})


def to_json(clip: Clip) -> dict[str, Any]:
    """Convert a clip to what the index holds of it."""
    return asdict(clip)


def _read_index(path: Path) -> dict[str, Any]:
    file = path / INDEX
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(
            f"no clip store at {path} ({INDEX} is missing); make one with 'python -m tsvan data prepare --dataset D "
            f"--source DIR --out {path}'"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {file}: {error}; check its permissions") from None
    try:
        index = json.loads(text)
    except json.JSONDecodeError:
        raise _damaged(path, f"{INDEX} is not JSON") from None
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise UserError(f"{file} is not the index of a clip store; give the folder that 'data prepare' wrote")
    if index.get("version") != VERSION:
        raise UserError(
            f"{path} is a clip store of version {index.get('version')}, this program reads version {VERSION}; prepare "
            f"it again"
        )
    _check(path, index)
    return index


def _rules_of(path: Path, index: dict[str, Any], dataset: str | DatasetRules | None) -> DatasetRules:
    """Return the rules that a store was made by, or those given if they differ in nothing that its clips depend on."""
    name = index["dataset"]
    wanted = dataset.name if isinstance(dataset, DatasetRules) else dataset
    if wanted not in (None, name):
        raise UserError(
            f"{path} is a clip store of '{name}', not of '{wanted}'; give a store of '{wanted}', or "
            + (f"--dataset {name}" if name in DATASETS else f"the YAML of '{name}' as --dataset")
        )
    made = rules(name) if "rules" not in index else _rules_in(path, index["rules"])
    if not isinstance(dataset, DatasetRules):
        return made
    old, new = made.of_clips(), dataset.of_clips()
    # Classes may be left to be found on either side: what counts is their order among those that the store has.
    old["classes"] = tuple(index["classes"])
    new["classes"] = tuple(name for name in dataset.classes or old["classes"] if name in old["classes"])
    for key in old:
        if old[key] != new[key]:
            raise UserError(
                f"{path} was prepared with {key}={old[key]}, the dataset '{name}' now has {key}={new[key]}; prepare it "
                f"again into another folder, or undo the change"
            )
    return dataset


def _rules_in(path: Path, values: dict[str, Any]) -> DatasetRules:
    """Build the rules that an index holds."""
    try:
        return build(DatasetRules, values, INDEX)
    except UserError as error:
        raise UserError(
            f"{path} was prepared by another version of this program ({error}); prepare it again into another folder"
        ) from None


def _check(path: Path, index: dict[str, Any]) -> None:
    claimed = index.pop("index_hash", None)
    if hash_json(index) != claimed:
        raise _damaged(path, f"{INDEX} has changed since it was written")
    # From here on the index is as some version of this program wrote it: what fails is a bug, not damage.
    assert index["content_hash"] == content_hash(index["frames_sha256"], index)
    for clip in index["clips"]:
        assert clip["start"] >= 0
        assert clip["start"] + clip["num_frames"] <= index["num_frames"]
        assert span(MIN_FRAMES, clip["frame_step"]) <= clip["num_frames"]
        assert clip["label"] < len(index["classes"])
        assert clip["person"] < len(index["people"])


def _damaged(path: Path, what: str) -> UserError:
    return UserError(f"the clip store {path} is damaged: {what}; delete it and prepare it again")
