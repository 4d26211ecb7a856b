"""A job's points worked out ahead of who reads them: training goes on while a score travels to the study and is judged.

Only where the study may stop the job does it wait for the answer, so what it computes never depends on how fast the
answer comes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue

from sweeps.state.job import Job, Point

Body = Callable[[Job, Callable[[], bool]], Iterator[Point]]


class Ahead:
    """A thread that runs a job's body.

    Args:
        body: does the work.
        job: what to do; it waits at its `waits_at`.
        stop: asked by the body between iterations.
    """

    def __init__(self, body: Body, job: Job, stop: Callable[[], bool]) -> None:
        self._body, self._job, self._stop = body, job, stop
        self._left = False
        self._made: SimpleQueue[Point | BaseException | None] = SimpleQueue()
        self._answers = threading.Semaphore(0)
        self._asked = False
        self._thread = threading.Thread(target=self._work, name=job.name, daemon=True)
        self._thread.start()

    def next(self) -> Point | None:
        """Return the next point; None: the job has ended. Asking for it is the answer to the one before: go on.

        Raises:
            Exception: what the body raised, `Interrupted` too.
        """
        if self._asked:
            self._answers.release()
        made = self._made.get()
        self._asked = isinstance(made, Point) and self._waits_at(made)
        if isinstance(made, BaseException):
            raise made
        return made

    def leave(self) -> None:
        """End the thread, as nobody reads on. The body is asked to stop; what it still makes is dropped."""
        self._left = True
        self._answers.release()
        self._thread.join()

    def _work(self) -> None:
        try:
            points = self._body(self._job, lambda: self._left or self._stop())
            for point in points:
                self._made.put(point)
                if self._waits_at(point):
                    self._answers.acquire()
                if self._left:
                    return
            self._made.put(None)
        except BaseException as error:
            self._made.put(error)

    def _waits_at(self, point: Point) -> bool:
        return self._job.waits_at is None or point.iteration in self._job.waits_at
