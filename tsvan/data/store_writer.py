"""Writing a clip store: frames are streamed to disk, the folder appears under its name only when it is whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from tsvan.data.config import SplitRule
from tsvan.data.datasets import DatasetRules
from tsvan.data.indexing import index_clips
from tsvan.data.splits import Source, phases
from tsvan.data.store import FORMAT, FRAMES, INDEX, VERSION, ClipStore, DataSource, Rejection, content_hash, to_json
from tsvan.files import hash_json, write_atomically
from tsvan.validation import UserError


class StoreWriter:
    """A writer of one clip store, used as a context: `add` each source in a fixed order, then `finish`.

    Leaving it unfinished leaves nothing behind; with `keep`, what was added lies in `<out>.partial`, and the next
    writer takes it up source by source with `restore`.

    Args:
        rules: the dataset.
        out: the store's folder; must not exist, or be empty.
        data_source: `real` or `synthetic`.
        keep: keep unfinished work.

    Raises:
        UserError: `out` is taken.
    """

    def __init__(self, rules: DatasetRules, out: Path, data_source: DataSource, *, keep: bool = False) -> None:
        check_free(out)
        self.rules = rules
        self.out = out
        self.data_source: DataSource = data_source
        self.sources: list[Source] = []
        self._keep = keep
        self._num_frames = 0
        self._digest = hashlib.sha256()
        hidden = out.absolute().with_name(f".{out.absolute().name}.{os.getpid()}.tmp")
        self.folder = partial_folder(out) if keep else hidden
        self._made: list[Path] = []
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        self._made = [parent for parent in self.out.absolute().parents if not parent.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=self._keep)
            self._file = open(self.folder / FRAMES, "r+b" if (self.folder / FRAMES).exists() else "w+b")
            _write_header(self._file, self._shape())
        except BaseException as error:
            self._clean()
            raise (self._cannot(error) if isinstance(error, OSError) else error) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clean()

    def restore(self, source: Source, sha256: str) -> bool:
        """Take up a source whose frames lie next in the file already, if they are what was written."""
        assert self._file is not None
        place = self._file.tell()
        rows = self._file.read(source.num_frames * self.rules.side**2 * 3)
        if hashlib.sha256(rows).hexdigest() != sha256:
            self._file.seek(place)
            return False
        self._digest.update(rows)
        self._count(source)
        return True

    def add(self, source: Source, frames: npt.NDArray[np.uint8]) -> str:
        """Append a source's frames (F, S, S, 3) uint8; a video that is split by phase is stored phase by phase.

        Returns:
            SHA-256 of the frames as they are stored, hex.
        """
        assert self._file is not None
        assert frames.shape == (source.num_frames, self.rules.side, self.rules.side, 3)
        count = phases(self.rules, source.identity)
        own = hashlib.sha256()
        for phase in range(count):
            rows = np.ascontiguousarray(frames[phase::count])
            own.update(rows.data)
            self._digest.update(rows.data)
            try:
                self._file.write(rows.data)
            except OSError as error:
                raise self._cannot(error) from None
        self._count(source)
        return own.hexdigest()

    def flush(self) -> None:
        """Hand what was added to the system, so that it outlives this process.

        Raises:
            UserError: the disk is full.
        """
        assert self._file is not None
        try:
            self._file.flush()
        except OSError as error:
            raise self._cannot(error) from None

    def finish(
        self,
        rejected: Sequence[Rejection] = (),
        left_out: Sequence[Rejection] = (),
        *,
        split: SplitRule = "supplement",
        layout: str = "",
        centring: str = "",
    ) -> ClipStore:
        """Split, write the index, move the folder to its place and open it.

        Args:
            rejected: files that could not be used.
            left_out: files that the rules do not use.
            split: whose split.
            layout: what the source was, in words.
            centring: how its clips were centred, in words.

        Raises:
            UserError: no clip is left to train on, or the disk refuses.
        """
        indexed = index_clips(self.rules, self.sources, split)
        if not indexed.classes:
            listed = [*indexed.unused, *rejected, *left_out]
            reasons = "; ".join(f"{file}: {reason}" for file, reason in listed[:3])
            raise UserError(f"no clip to train on for {self.out} ({reasons}); give longer videos of {self.rules.name}")
        index: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "dataset": self.rules.name,
            "data_source": self.data_source,
            "side": self.rules.side,
            "num_frames": self._num_frames,
            "classes": list(indexed.classes),
            "people": list(indexed.people),
            "clips": [to_json(clip) for clip in indexed.clips],
            "rejected": [list(pair) for pair in rejected],
            "left_out": [list(pair) for pair in (*left_out, *indexed.unused)],
            "split_rule": split,
            "layout": layout,
            "centring": centring,
            "frames_sha256": self._digest.hexdigest(),
        }
        if not self.rules.ships:
            index["rules"] = asdict(self.rules)
        index["content_hash"] = content_hash(index["frames_sha256"], index)
        index["index_hash"] = hash_json(index)
        try:
            self._close_frames()
            write_atomically(self.folder / INDEX, json.dumps(index, indent=1))
            if self.out.exists():
                self.out.rmdir()
            os.replace(self.folder, self.out)
        except OSError as error:
            if (self.out / INDEX).exists():  # another process was quicker
                return self._theirs(index["content_hash"])
            raise self._cannot(error) from None
        self._made = []
        return ClipStore.open(self.out, self.rules)

    def _theirs(self, content: str) -> ClipStore:
        """Open the store that lies in the place of this one. Raise UserError when it holds other clips."""
        store = ClipStore.open(self.out, self.rules)
        if store.content_hash != content:
            raise UserError(f"{self.out} is already there with other clips; choose another folder for the clip store")
        return store

    def _count(self, source: Source) -> None:
        self.sources.append(source)
        self._num_frames += source.num_frames

    def _shape(self) -> tuple[int, int, int, int]:
        return (self._num_frames, self.rules.side, self.rules.side, 3)

    def _close_frames(self) -> None:
        assert self._file is not None
        self._file.truncate()
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
            with suppress(OSError):  # the disk is full, which was told when it was written to
                self._file.close()
        if self._keep and self.sources:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        for parent in self._made:
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()

    def _cannot(self, error: OSError) -> UserError:
        kept = f"; {len(self.sources)} clips are kept in {self.folder}, the same command goes on" if self._keep else ""
        return UserError(
            f"cannot write the clip store {self.out}: {error.strerror}; free space or choose another folder{kept}"
        )


def partial_folder(out: Path) -> Path:
    """Return the folder in which an unfinished store waits for the same command."""
    return out.absolute().with_name(f"{out.absolute().name}.partial")


def check_free(out: Path) -> None:
    """Raise UserError when a store cannot be put at `out` because something is there."""
    if out.is_dir() and not any(out.iterdir()):
        return
    if out.exists():
        raise UserError(f"{out} is already there; delete it or choose another folder for the clip store")


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
