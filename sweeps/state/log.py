"""`study.log`: every line that a study said, also where nobody could read them."""

from __future__ import annotations

import time
from contextlib import suppress

from sweeps.state.paths import StudyPaths


class StudyLog:
    """The log of one driver; it goes on with the log of those before it.

    Args:
        paths: of the study; lines that are said before it has begun are kept until then.
    """

    def __init__(self, paths: StudyPaths) -> None:
        self._paths = paths
        self._waiting: list[str] = []

    def add(self, text: str) -> None:
        """Add a text with the time. A log that can't be written ends no study: the lines wait for the next call."""
        self._waiting += [f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}" for line in text.splitlines()]
        if not self._paths.config.exists():
            return
        with suppress(OSError):
            with open(self._paths.log, "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write("".join(f"{line}\n" for line in self._waiting))
            self._waiting.clear()
