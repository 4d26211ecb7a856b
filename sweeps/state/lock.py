"""One driver at a time: the lock of a study."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from sweeps.state.paths import StudyPaths
from tsvan.validation import UserError


@contextmanager
def only_driver(paths: StudyPaths) -> Iterator[None]:
    """Hold the study's lock; a lock of a dead driver is free.

    Raises:
        UserError: another driver works on the study.
    """
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        paths.lock.touch()
    except OSError as error:
        raise UserError(f"cannot write to {paths.root}: {error.strerror}; choose another --out") from None
    with open(paths.lock, "a+") as lock:
        if not _locked(lock):
            lock.seek(0)
            other = lock.read().strip() or "unknown"
            raise UserError(f"another driver (process {other}) works on {paths.root}; wait for it or stop it")
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        paths.stop.unlink(missing_ok=True)
        yield


def driver_of(paths: StudyPaths) -> str | None:
    """Process id of the driver that works on the study now; None: nobody does."""
    if not paths.lock.exists():
        return None
    with open(paths.lock) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "unknown"
    return None


def _locked(lock: IO[str]) -> bool:
    """Take the lock. Whoever only looks at it (`driver_of`) holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05)
    return False
