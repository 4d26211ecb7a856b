"""A thread that goes round what is to be delivered, and tries again what was not taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from sweeps.tracking.trouble import Trouble, trouble

POLL_S = 1.0
YIELD_S = 0.5  # scores of a moment travel together, and a worker that waits is answered first
FIRST_S = 10.0  # MLflow takes seconds to load, and until the first score nobody needs it: the trials start first
LONGEST_WAIT_S = 30.0
AGAIN_S = 0.5  # between two tries while somebody waits
PATIENCE_S = 20.0
"""A server that was away for so long is not waited for when the study ends."""

Task = tuple[str, Callable[[], None]]
"""A name, and what is to be done; it raises when it can't be done now."""


@dataclass
class _Request:
    """What somebody wants to have an answer to: tried in every round until it succeeds."""

    what: str
    action: Callable[[], Any]
    last: bool = False  # after all others
    result: Future[Any] = field(default_factory=Future)


class UploadThread:
    """The thread that does all tasks, round after round, and the requests of other threads.

    Args:
        tasks: what there is to do in a round, in order; asked for one after the other.
        first: name of the task without which nothing else can be done.
        failed: told the name of a task that has to wait for a server, which is asked no more in this round.
        uri: of the store; its secrets are cut out of what went wrong.
    """

    def __init__(
        self, tasks: Callable[[], Iterable[Task]], first: str, failed: Callable[[str], None], uri: str
    ) -> None:
        self._tasks, self._first, self._failed, self._uri = tasks, first, failed, uri
        self._lock = threading.Lock()  # of the two below
        self._requests: list[_Request] = []
        self._troubles: dict[str, Trouble] = {}
        self._troubled_since = 0.0
        self._rounds, self._round_over = 0, threading.Condition()
        self._wake, self._hurry, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="uploader", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Begin a round soon."""
        self._wake.set()

    def stop(self) -> None:
        """End after the task at work; one that hangs is left behind."""
        self._closing.set()
        self._hurry.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def ask(self, what: str, action: Callable[[], Any], timeout_s: float) -> Any:
        """Put a request into the queue and wait for its result; None: there is none yet, and it stays in the queue."""
        request = self._put(_Request(what, action))
        self.wait(request.result.done, timeout_s)
        return request.result.result() if request.result.done() else None

    def ask_last(self, what: str, action: Callable[[], Any]) -> None:
        """Put a request into the queue that comes after all others, and don't wait."""
        self._put(_Request(what, action, last=True))

    def wait(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Wait for something that the thread is to do; not longer than there is hope."""
        deadline, rounds = time.monotonic() + timeout_s, self._rounds
        self._hurry.set()
        while time.monotonic() < deadline and not done() and self._thread.is_alive():
            if self._rounds > rounds + 1 and self._is_hopeless():
                break
            if self._rounds > rounds and self.troubles:
                time.sleep(AGAIN_S)
            self._wake.set()
            with self._round_over:
                self._round_over.wait(0.05)
        self._hurry.clear()

    @property
    def waiting(self) -> list[str]:
        """Return the names of the requests that have no result yet."""
        with self._lock:
            return [request.what for request in self._requests]

    @property
    def troubles(self) -> dict[str, Trouble]:
        """Return what went wrong in the last round: name of the task or request -> why."""
        with self._lock:
            return self._troubles

    @property
    def is_away(self) -> bool:
        """Tell whether something has been going wrong for longer than a server takes to start again."""
        return bool(self.troubles) and time.monotonic() - self._troubled_since > PATIENCE_S

    def _is_hopeless(self) -> bool:
        return self.is_away or any(not found.passes for found in self.troubles.values())

    def _put(self, request: _Request) -> _Request:
        with self._lock:
            self._requests = [other for other in self._requests if other.what != request.what] + [request]
        return request

    def _work(self) -> None:
        wait = FIRST_S
        while not self._closing.is_set():
            if self._wake.wait(wait):
                self._hurry.wait(YIELD_S)
            self._wake.clear()
            wait = POLL_S if self._round() else min(wait * 2, LONGEST_WAIT_S)
            with self._round_over:
                self._rounds += 1
                self._round_over.notify_all()

    def _round(self) -> bool:
        """Try everything once; what is refused for good holds nothing else up, a server that is away is let be."""
        troubles: dict[str, Trouble] = {}
        for what, action in self._due():
            try:
                action()
            except Exception as error:  # MLflow passes on whatever its store or the network raises
                troubles[what] = trouble(error, self._uri)
                self._failed(what)
                if troubles[what].passes or what == self._first:
                    break
        with self._lock:
            if troubles and not self._troubles:
                self._troubled_since = time.monotonic()
            self._troubles = troubles
        return not troubles

    def _due(self) -> Iterator[Task]:
        yield from self._tasks()
        with self._lock:
            requests = sorted(self._requests, key=lambda request: request.last)
        for request in requests:
            yield request.what, lambda request=request: self._answer(request)  # type: ignore[misc]

    def _answer(self, request: _Request) -> None:
        result = request.action()
        with self._lock:
            self._requests = [other for other in self._requests if other is not request]
        request.result.set_result(result)
