"""The journal of an unfinished store: one line a clip that was read, so that a killed preparation goes on."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from tsvan.data.raw.filenames import Identity
from tsvan.data.raw.listing import Candidate
from tsvan.data.raw.reading import Refusal
from tsvan.data.splits import Source
from tsvan.files import NO_LOCKS, hash_json
from tsvan.validation import UserError

NAME = "journal.jsonl"


@dataclass(frozen=True)
class Entry:
    """A clip that is done: stored (`source`, `how`, `sha256` of its stored frames) or refused."""

    source: Source | None
    how: str = ""
    sha256: str = ""
    refusal: Refusal | None = None


class Journal:
    """A journal, used as a context within the unfinished store's folder.

    Args:
        folder: of the unfinished store.
        settings: everything, besides the clips, that its contents depend on; work under others is not taken up.

    Raises:
        UserError: another process works on the same store.
    """

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._path = folder / NAME
        self._settings = hash_json(settings)
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        self._file = open(self._path, "a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS:
                return self
            self._file.close()
            raise UserError(
                f"another process is preparing {self._path.parent}; wait for it, or choose another folder"
            ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        self._file.close()

    def done(self, source: Path, candidates: Sequence[Candidate]) -> list[Entry]:
        """Read the clips that are done already: as far as the same clips, unchanged, come in the same order."""
        assert self._file is not None
        self._file.seek(0)
        lines = [line for line in self._file.read().splitlines(keepends=True) if line.endswith("\n")]
        if not lines or json.loads(lines[0]) != {"settings": self._settings}:
            return []
        entries = []
        for line, candidate in zip(lines[1:], candidates, strict=False):
            value = json.loads(line)
            if value["stamp"] != stamp(source, candidate):
                break
            entries.append(_entry(value))
        return entries

    def begin(self, source: Path, candidates: Sequence[Candidate], entries: Sequence[Entry]) -> None:
        """Start the journal anew with the clips that are taken up."""
        assert self._file is not None
        self._file.seek(0)
        self._file.truncate()
        self._file.write(json.dumps({"settings": self._settings}) + "\n")
        for candidate, entry in zip(candidates, entries, strict=False):
            self._write(source, candidate, entry)
        self._file.flush()

    def append(self, source: Path, candidate: Candidate, entry: Entry) -> None:
        """Note a clip whose frames have been handed to the system.

        Raises:
            OSError: the disk is full.
        """
        assert self._file is not None
        self._write(source, candidate, entry)
        self._file.flush()

    def _write(self, source: Path, candidate: Candidate, entry: Entry) -> None:
        assert self._file is not None
        self._file.write(json.dumps({"stamp": stamp(source, candidate), **asdict(entry)}) + "\n")


def stamp(source: Path, candidate: Candidate) -> list[Any]:
    """Return what changes when a clip is repaired or replaced: name, size (of a folder: number of pictures), time."""
    try:
        status = (source / (candidate.archive or candidate.file)).stat()
    except OSError:  # gone since the folder was listed
        return [candidate.file, None, None]
    size = len(candidate.pictures) or status.st_size
    return [candidate.file, size, status.st_mtime_ns]


def _entry(value: dict[str, Any]) -> Entry:
    source, refusal = value["source"], value["refusal"]
    if source is not None:
        source = Source(**{**source, "identity": Identity(**source["identity"])})
    return Entry(source, value["how"], value["sha256"], None if refusal is None else Refusal(**refusal))
