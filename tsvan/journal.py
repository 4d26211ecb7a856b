"""The append-only metrics file of a run: one JSON line `{"iteration", "kind", "time_ms", "values"}` a record."""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tsvan.files import make_folder, replacing

_TAIL = 8192  # bytes; a line has some hundred


class Journal:
    """One run's metrics file.

    Args:
        path: of the file; it and its folder appear with the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(
        self,
        iteration: int,
        kind: str,
        values: Mapping[str, float],
        *,
        sync: bool = False,
        texts: Mapping[str, Any] | None = None,
    ) -> None:
        """Add one line, whole or not at all; values that JSON can't hold (not finite) are left out.

        Args:
            kind: what the values are, such as `train` or `score`.
            texts: what is no measurement, as plain JSON; under a key of its own.
            sync: wait until the line is on disk; else it is only handed to the system.

        Raises:
            OSError: the disk is full or can't be written.
        """
        finite = {key: value for key, value in values.items() if math.isfinite(value)}
        line: dict[str, Any] = {"iteration": iteration, "kind": kind}
        line |= {"time_ms": int(time.time() * 1000), "values": finite}
        line |= {} if texts is None else {"texts": dict(texts)}
        data = (json.dumps(line) + "\n").encode()
        make_folder(self._path.parent)
        with open(self._path, "ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                if file.write(data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(before)  # no half a line: the next one would be lost with it
                raise

    def truncate(self, iteration: int) -> None:
        """Forget what lies after a checkpoint, and a last line that a crash cut. The file is replaced, not edited."""
        if not self._path.exists():
            return
        kept = [json.dumps(line) + "\n" for line in self.lines() if line["iteration"] <= iteration]
        with replacing(self._path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the whole lines so far, in order; a torn last line is left out."""
        if self._path.exists():
            yield from parse_lines(self._path.read_bytes())

    def last_iteration(self) -> int:
        """Return the iteration of the last whole line, without reading the file; 0: there is none."""
        if not self._path.exists():
            return 0
        with open(self._path, "rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - _TAIL, 0))
            last = list(parse_lines(file.read()))
        return int(last[-1]["iteration"]) if last else 0


def parse_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the records in a journal's bytes. What is none (cut off, or zeros after a loss of power) is left out."""
    kinds = (("iteration", int), ("kind", str), ("time_ms", int), ("values", dict))
    for line in json_lines(data):
        if all(isinstance(line.get(name), kind) for name, kind in kinds):
            yield line


def json_lines(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the whole lines that are JSON objects; others are left out."""
    for text in data.splitlines(keepends=True):
        with suppress(ValueError, RecursionError):
            line = json.loads(text) if text.endswith(b"\n") else None
            if isinstance(line, dict):
                yield line
