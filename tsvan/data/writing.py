"""Writing a clip store: frames are streamed to disk, the folder appears under its name only when it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from tsvan.data.datasets import MIN_FRAMES, DatasetRules
from tsvan.data.names import natural
from tsvan.data.splits import Part, Source, cut, phases, playback
from tsvan.data.store import (
    FORMAT,
    FRAMES,
    INDEX,
    VERSION,
    Clip,
    ClipStore,
    DataSource,
    Rejection,
    content_hash,
    to_json,
)
from tsvan.files import hash_json, write_atomically
from tsvan.strict import UserError


class StoreWriter:
    """Use as a context: `add` each source in a fixed order, then `finish`. Leaving it unfinished leaves nothing behind.

    Args:
        rules: the dataset.
        out: the store's folder; must not exist, or be empty.
        data_source: `real` or `synthetic`.

    Raises:
        UserError: `out` is taken.
    """

    def __init__(self, rules: DatasetRules, out: Path, data_source: DataSource) -> None:
        check_free(out)
        self.rules = rules
        self.out = out
        self.data_source: DataSource = data_source
        self.sources: list[Source] = []
        self._starts: list[int] = []
        self._num_frames = 0
        self._digest = hashlib.sha256()
        self._folder = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}.tmp")
        self._made: list[Path] = []
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._made = [parent for parent in self.out.absolute().parents if not parent.exists()]
        try:
            self._folder.mkdir(parents=True)
            self._file = open(self._folder / FRAMES, "wb")
            _write_header(self._file, self._shape())
        except BaseException as error:
            self._clean()
            raise (self._cannot(error) if isinstance(error, OSError) else error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean()

    def add(self, source: Source, frames: npt.NDArray[np.uint8]) -> None:
        """Append a source's frames (F, S, S, 3) uint8; a video that is split by phase is stored phase by phase."""
        assert self._file is not None
        assert frames.shape == (source.num_frames, self.rules.side, self.rules.side, 3)
        count = phases(self.rules, source.identity)
        self.sources.append(source)
        self._starts.append(self._num_frames)
        self._num_frames += len(frames)
        for phase in range(count):
            rows = np.ascontiguousarray(frames[phase::count])
            self._digest.update(rows.data)
            try:
                self._file.write(rows.data)
            except OSError as error:
                raise self._cannot(error) from None

    def finish(self, rejected: Sequence[Rejection] = (), left_out: Sequence[Rejection] = ()) -> ClipStore:
        """Split, write the index, move the folder to its place and open it.

        Raises:
            UserError: no clip is left to train on, or the disk refuses.
        """
        clips, classes, people, unused = self._clips()
        if not classes:
            reasons = "; ".join(f"{file}: {reason}" for file, reason in [*unused, *rejected][:3])
            raise UserError(f"no clip to train on for {self.out} ({reasons}); give longer videos of {self.rules.name}")
        index: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "dataset": self.rules.name,
            "data_source": self.data_source,
            "side": self.rules.side,
            "num_frames": self._num_frames,
            "classes": classes,
            "people": people,
            "clips": [to_json(clip) for clip in clips],
            "rejected": [list(pair) for pair in rejected],
            "left_out": [list(pair) for pair in (*left_out, *unused)],
            "frames_sha256": self._digest.hexdigest(),
        }
        index["content_hash"] = content_hash(index["frames_sha256"], index)
        index["index_hash"] = hash_json(index)
        try:
            self._close_frames()
            write_atomically(self._folder / INDEX, json.dumps(index, indent=1))
            if self.out.exists():
                self.out.rmdir()
            os.replace(self._folder, self.out)
        except OSError as error:
            raise self._cannot(error) from None
        self._made = []
        return ClipStore.open(self.out, self.rules.name)

    def _clips(self) -> tuple[list[Clip], list[str], list[str], list[Rejection]]:
        """Clips, classes, people, and the parts that no window fits in or whose class is not trained on."""
        starts = {source.file: start for source, start in zip(self.sources, self._starts, strict=True)}
        unused: list[Rejection] = []
        usable: list[tuple[Part, int, bool]] = []
        for part in cut(self.rules, self.sources):
            step = self.rules.frame_step(part.source.identity.action, part.source.rate)
            fits = playback(part.num_frames, step)
            if fits is None:
                reason = f"its {part.split} part has {part.num_frames} frames, a window needs {MIN_FRAMES}"
                unused.append(Rejection(part.source.file, reason))
            else:
                usable.append((part, *fits))
        trained = {part.source.identity.action for part, _, _ in usable if part.split == "train"}
        classes = [name for name in self.rules.classes if name in trained]
        people = sorted({part.source.identity.person for part, _, _ in usable}, key=natural)
        clips = []
        for part, step, flagged in usable:
            who = part.source.identity
            if who.action not in trained:
                unused.append(Rejection(part.source.file, f"no clip of '{who.action}' is in the train split"))
                continue
            clips.append(
                Clip(
                    start=starts[part.source.file] + part.first,
                    num_frames=part.num_frames,
                    label=classes.index(who.action),
                    person=people.index(who.person),
                    split=part.split,
                    frame_step=step,
                    flagged=flagged,
                    source=part.source.file,
                    source_sha256=part.source.sha256,
                )
            )
        return clips, classes, people, unused

    def _shape(self) -> tuple[int, int, int, int]:
        return (self._num_frames, self.rules.side, self.rules.side, 3)

    def _close_frames(self) -> None:
        assert self._file is not None
        self._file.flush()
        length = self._file.tell()
        self._file.seek(0)
        _write_header(self._file, self._shape())
        # NumPy pads headers so that the first axis can grow without moving the data.
        assert self._file.tell() + self._num_frames * self.rules.side**2 * 3 == length
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _clean(self) -> None:
        if self._file is not None:
            self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        for parent in self._made:
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()

    def _cannot(self, error: OSError) -> UserError:
        return UserError(
            f"cannot write the clip store {self.out}: {error.strerror}; free space or choose another folder"
        )


def check_free(out: Path) -> None:
    """Raises UserError when a store cannot be put at `out` because something is there."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise UserError(f"{out} is already there; delete it or choose another folder for the clip store")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
