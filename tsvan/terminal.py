"""What a person sees in the terminal: progress bars with an ETA, on stderr; plain lines where it is not a terminal."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tsvan.files import Progress

PLAIN_INTERVAL_S = 10.0
_PACE_S = 600.0  # over which the pace is taken: steps of half a minute have an end, too


class _Forgiving:
    """A text stream on which nothing fails: what can't be shown is escaped, and what nobody can take is dropped."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream, or drop what can't be written."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (OSError, ValueError):  # the reader of a pipe has left, the disk is full, the terminal is gone, closed
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())  # so that what is still in buffers can be flushed
                os.close(nowhere)


def guard_output() -> None:
    """Let nothing that is printed end the process. A command that was started as a program calls it once."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: no file of ours must become stdout
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the whole process
        stream.reconfigure(errors="backslashreplace")
        setattr(sys, name, _Forgiving(stream))


def say(message: str) -> None:
    """Print one line for the user, on stderr."""
    print(message, file=sys.stderr, flush=True)


@contextmanager
def progress(label: str) -> Iterator[Progress]:
    """Yield a bar that is moved by calling it with (done, total).

    It is not shown before that: work that was done needs none. Without a terminal, there is a line every ten seconds.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(label)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("elapsed"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Bar(*columns, console=console, speed_estimate_period=_PACE_S)
    task = bar.add_task(label, total=None, start=False)

    def move(done: int, total: int) -> None:
        if not bar.live.is_started:
            bar.start_task(task)
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield move
    finally:
        bar.stop()


def _plain(label: str) -> Progress:
    then, before = time.monotonic(), 0
    started = False

    def move(done: int, total: int) -> None:
        nonlocal then, before, started
        now = time.monotonic()
        if not started:
            then, before, started = now, done, True
        if now - then < PLAIN_INTERVAL_S or done <= before:
            return
        left_s = (now - then) / (done - before) * (total - done)  # at the pace since the last line
        then, before = now, done
        say(f"{label}: {done}/{total}, about {duration(left_s)} left")

    return move


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a process in order; SIGHUP is none where it is ignored, as under `nohup`."""
    hangup = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
    return (signal.SIGINT, signal.SIGTERM, *hangup)


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Let SIGINT, SIGTERM and SIGHUP set a flag, which the block can ask for.

    The first one is answered at once, and a second SIGINT ends the block with a KeyboardInterrupt.
    """
    received: list[int] = []
    signals = ending_signals()

    def receive(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in received:
            raise KeyboardInterrupt
        if not received:
            with suppress(OSError, ValueError):  # not `print`, in which the signal may have come
                os.write(sys.stderr.fileno(), b"\nstopping: saving after this iteration; Ctrl-C again ends at once\n")
        received.append(number)

    before = [signal.signal(number, receive) for number in signals]
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def counted(count: int, noun: str) -> str:
    """Say `1 seed`, `2 seeds`, `3 classes`."""
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{count:,} {noun}{ending}"


def duration(seconds: float) -> str:
    """Say a duration as `42 s`, `3 min 5 s`, `2 h 7 min` or `3 d 4 h`."""
    whole = max(0, round(seconds))
    for size, unit, smaller, smaller_unit in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {smaller_unit}"
    return f"{whole} s"
