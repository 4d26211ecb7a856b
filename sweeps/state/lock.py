"""One driver at a time: the lock of a study.

The file is locked where its file system can do that, and names its holder: host, process, and a beat that goes up every
few seconds. On a shared folder locks may be missing, or seen by one machine only; there the beat says who lives.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO

import psutil  # type: ignore[import-untyped]

from sweeps.state.paths import StudyPaths
from tsvan.files import NO_LOCKS
from tsvan.validation import UserError

BEAT_S = 5.0
SILENT_S = 30.0
"""A holder on another machine that was silent for so long is dead."""

_CHARS = 400  # a beat never changes the file's length, so that no reader sees half of it


@dataclass(frozen=True)
class Holder:
    """The holder of a study's lock.

    Args:
        host: name of the machine.
        boot: its boot, as names are used twice.
        process: id of the driver there.
        started: when that process began, as ids are used again.
        beat: goes up while it lives.
    """

    host: str
    boot: str
    process: int
    started: float
    beat: int = 0

    @classmethod
    def this_process(cls) -> Holder:
        """Return the driver that asks."""
        return cls(*_here(), os.getpid(), psutil.Process().create_time())

    @property
    def is_here(self) -> bool:
        """Tell whether the holder is, or was, on this machine."""
        return (self.host, self.boot) == _here()

    def same(self, other: Holder) -> bool:
        """Tell whether both are one process, at whatever beat."""
        return replace(self, beat=0) == replace(other, beat=0)

    def lives_here(self) -> bool:
        """Tell whether the holder's process, on this machine, is alive."""
        try:
            return abs(psutil.Process(self.process).create_time() - self.started) < 1 or not self.started
        except psutil.Error:
            return False

    def __str__(self) -> str:
        return str(self.process) if self.is_here else f"{self.process} on host {self.host}"


@contextmanager
def only_driver(
    paths: StudyPaths, say: Callable[[str], None] = lambda line: None, silent_s: float = SILENT_S
) -> Iterator[None]:
    """Hold the study's lock; a lock of a dead driver is free.

    Args:
        say: told, in a line, about a driver on another machine that is waited for or taken over from.
        silent_s: how long to wait for a beat of that.

    Raises:
        UserError: another driver works on the study.
    """
    try:
        paths.root.mkdir(parents=True, exist_ok=True)
        lock = open(paths.lock, "a+", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UserError(f"cannot write to {paths.root}: {error.strerror}; choose another --out") from None
    with lock:
        taken, before = _locked(lock), _read(paths.lock)
        if taken is False or (before is not None and _lives(before, taken is None, paths.lock, say, silent_s)):
            who = "unknown" if before is None else str(before)
            raise UserError(f"another driver (process {who}) works on {paths.root}; wait for it or stop it")
        own = Holder.this_process()
        _write(paths.lock, own)
        paths.stop.unlink(missing_ok=True)
        with _beating(paths.lock, own, say):
            yield


def leave_no_trace(paths: StudyPaths) -> None:
    """Take away the folder of a study that did not begin, with its lock that nobody holds any more."""
    if not paths.config.exists() and driver_of(paths) is None:
        with suppress(OSError):  # the folder stays where something else is in it
            paths.lock.unlink(missing_ok=True)
            paths.root.rmdir()


def driver_of(paths: StudyPaths) -> str | None:
    """Return the process id of the study's driver now, with its host if that is another; None: there is none."""
    try:
        with open(paths.lock, encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        without_locks = False
    except BlockingIOError:
        return str(_read(paths.lock) or "unknown")
    except OSError as error:
        if error.errno not in NO_LOCKS:
            return None  # there is none, or it can't be looked at
        without_locks = True
    holder = _read(paths.lock)
    if holder is None:
        return None
    if holder.is_here:
        return str(holder) if without_locks and holder.lives_here() else None
    with suppress(OSError):
        if time.time() - paths.lock.stat().st_mtime < SILENT_S:
            return str(holder)
    return None


@cache
def _here() -> tuple[str, str]:
    """Return name and boot of this machine."""
    with suppress(OSError):
        return socket.gethostname(), Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname(), ""


def _locked(lock: IO[str]) -> bool | None:
    """Take the lock; None: this file system has none. Whoever only looks at it (`driver_of`) holds it for a moment."""
    for _ in range(5):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return None
    return False


def _lives(before: Holder, without_locks: bool, file: Path, say: Callable[[str], None], silent_s: float) -> bool:
    """Tell whether the holder in the file is alive, though its lock does not stand in the way."""
    if before.is_here:
        return without_locks and before.lives_here() and not before.same(Holder.this_process())
    say(f"a driver (process {before}) worked on this study; waiting up to {silent_s:.0f} s for a sign of it")
    deadline = time.monotonic() + silent_s
    while time.monotonic() < deadline:
        now = _read(file)
        if now is None:
            return False  # it has ended in order
        if now != before:
            return True
        time.sleep(min(1.0, silent_s / 10))
    say(f"no sign of process {before}: this driver takes over")
    return False


def _read(file: Path) -> Holder | None:
    """Read whom the file names; None: nobody, or not readable now."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        return Holder(*_here(), values, 0.0) if isinstance(values, int) else Holder(**values)
    except (OSError, ValueError, TypeError):  # an int: of studies before
        return None


def _write(file: Path, holder: Holder) -> None:
    text = json.dumps(asdict(holder)).ljust(_CHARS).encode()
    handle = os.open(file, os.O_WRONLY | os.O_CREAT)
    try:
        os.pwrite(handle, text, 0)
        os.ftruncate(handle, len(text))
    finally:
        os.close(handle)


@contextmanager
def _beating(file: Path, own: Holder, say: Callable[[str], None]) -> Iterator[None]:
    """Show that the driver lives; where another one took over, which found it silent for too long, it ends at once."""
    ended = threading.Event()

    def work() -> None:
        beat = own
        while not ended.wait(BEAT_S):
            now = _read(file)
            if now is not None and not now.same(own):
                say(f"another driver (process {now}) took over the study; this one ends, the other goes on with it")
                os._exit(2)  # whatever it still wrote would be written over the other's work
            beat = replace(beat, beat=beat.beat + 1)
            with suppress(OSError):  # a full disk: the next beat may fit
                _write(file, beat)

    thread = threading.Thread(target=work, name="lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            os.truncate(file, 0)
