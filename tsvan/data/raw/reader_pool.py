"""Processes that read clips side by side. A clip that kills or hangs its process is refused; the others go on.

Plain child processes and not a pool of `multiprocessing`: those would import the caller's main module, and with it
torch and Ray, once a process; and one dead process would end the whole pool.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from tsvan.data.raw import limits
from tsvan.data.raw.reading import Reading, Refusal, Request, read

_WORTH_A_PROCESS = 8
"""Clips for which starting another process pays."""


def read_all(requests: Iterable[Request], workers: int) -> Generator[Reading | Refusal, None, None]:
    """Read clips, in the order of the requests.

    Args:
        requests: the clips.
        workers: processes; 0: read in this one.
    """
    if not workers:
        yield from map(read, requests)
        return
    waiting: deque[Future[Reading | Refusal]] = deque()
    with _ReaderPool(workers) as pool:
        threads = ThreadPoolExecutor(workers)
        try:
            for request in requests:
                waiting.append(threads.submit(pool.read, request))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.stop()  # a thread that waits for its process ends with it
            threads.shutdown(cancel_futures=True)


def default_workers(num_clips: int) -> int:
    """Choose how many processes read: one a core, fewer for few clips, never none: a bad clip must not harm us."""
    return max(1, min(len(os.sched_getaffinity(0)), num_clips // _WORTH_A_PROCESS))


class _ReaderPool:
    def __init__(self, size: int) -> None:
        self._idle: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[bytes]] = []
        self._new: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        for _ in range(size):
            self._idle.put(self._start())

    def __enter__(self) -> _ReaderPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def read(self, request: Request) -> Reading | Refusal:
        """Have an idle process read a clip; called by as many threads as there are processes."""
        process = self._idle.get()
        assert process.stdin is not None
        assert process.stdout is not None
        slow = threading.Timer(limits.TIMEOUT_S, process.kill)
        try:
            if process in self._new:
                pickle.load(process.stdout)  # it is ready: the time of its start is not the clip's
                self._new.discard(process)
            slow.start()
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            answer: Reading | Refusal = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            process.kill()
            code = process.wait()
            hung = "" if slow.is_alive() or not slow.ident else f" after {limits.TIMEOUT_S:.0f} s"
            reason = f"the process that read it ended{hung} ({_ending(code)})"
            answer = Refusal(request.candidate.file, reason, bad=True)
            if not self._stopped:
                process = self._start()
        finally:
            slow.cancel()
        self._idle.put(process)
        return answer

    def stop(self) -> None:
        """End all processes."""
        self._stopped = True
        for process in self._all:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:  # what it was being sent
                        continue

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tsvan.data.raw.reader_pool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=limits.reader_environment(),
        )
        self._all.append(process)
        self._new.add(process)
        return process


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _serve() -> None:
    """Read what comes on stdin until it is closed."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    limits.limit_memory()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints must not end up among the answers
    pickle.dump(None, answers)
    answers.flush()
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            pickle.dump(read(request), answers, protocol=pickle.HIGHEST_PROTOCOL)
            answers.flush()
        except BrokenPipeError:
            return


def _end_with(parent: int) -> None:
    """End this process when the one that asks is dead, even amid a clip that hangs."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    _serve()
