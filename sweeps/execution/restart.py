"""The same command once more, in place of this process: for a driver whose main thread Ray holds.

When the GCS dies while Ray Tune asks it for something, the call does not return: a minute later Ray ends the process. A
study may be killed at any moment, and the same command goes on with it; so that is what is run.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

_COUNT = "TSVAN_RESTARTS"


def num_restarts() -> int:
    """Return how often this command has replaced itself."""
    text = os.environ.get(_COUNT, "0")
    return int(text) if text.isdecimal() else 0


def run_again() -> NoReturn:
    """Replace this process by the command that began it; its files are closed, its locks are free."""
    os.environ[_COUNT] = str(num_restarts() + 1)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)
