"""The append-only metrics file of a run: one JSON line `{"iteration", "kind", "time_ms", "values"}` a record."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tsvan.files import replacing


class Journal:
    """One run's metrics file.

    Args:
        path: of the file; it and its folder appear with the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, iteration: int, kind: str, values: Mapping[str, float], *, sync: bool = False) -> None:
        """Add one line; values that JSON can't hold (not finite) are left out.

        Args:
            kind: what the values are, such as `train` or `score`.
            sync: wait until the line is on disk; else it is only handed to the system.
        """
        finite = {key: value for key, value in values.items() if math.isfinite(value)}
        line = {"iteration": iteration, "kind": kind, "time_ms": int(time.time() * 1000), "values": finite}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def truncate(self, iteration: int) -> None:
        """Forget what lies after a checkpoint, and a last line that a crash cut. The file is replaced, not edited."""
        if not self._path.exists():
            return
        kept = [json.dumps(line) + "\n" for line in self.lines() if line["iteration"] <= iteration]
        with replacing(self._path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")

    def lines(self) -> Iterator[dict[str, Any]]:
        """The whole lines so far, in order; a torn last line is left out."""
        if not self._path.exists():
            return
        for text in self._path.read_text(encoding="utf-8").splitlines(keepends=True):
            if text.endswith("\n"):
                yield json.loads(text)
