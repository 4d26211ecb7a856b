"""The wish to stop: SIGINT, SIGTERM and SIGHUP, which first ask the trials to save."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweeps.state.paths import StudyPaths
from tsvan.terminal import ending_signals


class StudyInterrupted(BaseException):
    """The user (or the machine) wants the study to stop; its state is saved.

    No Exception: whoever catches those, here or in a library, must not keep a study alive that was told to stop.
    """


class StopSignals:
    """The handler of SIGINT, SIGTERM and SIGHUP: they first ask the trials to save (a file they look for), then insist.

    Outside `patient()` nothing needs saving, and the signal ends the stage at once as `StudyInterrupted`.
    """

    def __init__(self, paths: StudyPaths, say: Any) -> None:
        self._paths, self._say = paths, say
        self._patient = False
        self._numbers = ending_signals()
        self.asked = False

    def install(self) -> None:
        """Take over the signals. Ray takes SIGTERM when it starts: call this again afterwards."""
        for number in self._numbers:
            signal.signal(number, self._handle)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take over the signals in the block, and give them back afterwards to whose they were."""
        before = [signal.getsignal(number) for number in self._numbers]
        self.install()
        try:
            yield
        finally:
            for number, handler in zip(self._numbers, before, strict=True):
                signal.signal(number, handler)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Let the trials that run in the block save.

        Raises:
            StudyInterrupted: at the end of the block, if asked to stop in it.
        """
        self.install()
        self._patient = True
        try:
            yield
        finally:
            self._patient = False
        if self.asked:
            raise StudyInterrupted

    def _handle(self, number: int, frame: Any) -> None:
        if self.asked:
            if number == signal.SIGHUP:  # a terminal that goes sends several
                return
            os._exit(130)
        self.asked = True
        if not self._patient:
            raise StudyInterrupted
        try:
            self._paths.stop.touch()
        except OSError:  # a full disk: the trials can't save either
            os._exit(130)
        self._say("stopping: running trials save a checkpoint (once more to leave at once)")
