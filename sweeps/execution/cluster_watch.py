"""The watch over Ray's own processes: the cluster's store (GCS) and this machine's raylet are asked for a connection.

Ray itself waits for a dead raylet for ever, and ends the whole process a minute after the GCS has died.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping

from sweeps.execution import ray_environment
from sweeps.state.errors import ClusterLost

ray_environment.prepare(joins=False)

import ray  # noqa: E402

PATIENCE_S = {"own": 3.0, "joined": 20.0}
"""How long Ray's processes may be silent. Somebody's GCS may be started again in time; ours is not."""
STUCK_S = 10.0
_EVERY_S = 1.0
_KNOCK_S = 5.0

Place = tuple[str, int]


class ClusterWatch:
    """A thread that asks Ray's processes for a connection every second.

    Args:
        places: what answers there -> host and port.
        own: the cluster is our own, on this machine.
    """

    def __init__(self, places: Mapping[str, Place], own: bool) -> None:
        self.own, self._places, self._patience_s = own, dict(places), PATIENCE_S["own" if own else "joined"]
        self._since: dict[str, float] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cluster-watch", daemon=True)
        self._heard = threading.Event()
        self.in_use = False
        """Somebody asks for `raise_if_lost` again and again."""
        self.on_stuck: Callable[[str], None] = lambda lost: None
        """Called in the thread when the cluster is lost while in use, and nobody asked for `STUCK_S`: Ray holds the
        one who should, and would end the process a minute after the GCS died."""
        self.lost = ""
        """What is gone, in words; empty while all live."""

    @classmethod
    def connected(cls, own: bool) -> ClusterWatch:
        """Watch the cluster that this process is connected to."""
        context = ray.get_runtime_context()
        host, _, port = context.gcs_address.rpartition(":")
        nodes = {node["NodeID"]: node for node in ray.nodes()}  # type: ignore[no-untyped-call]
        here = nodes[context.get_node_id()]
        places = {
            "the GCS": (host.strip("[]"), int(port)),
            "the raylet": (here["NodeManagerAddress"], int(here["NodeManagerPort"])),
        }
        return cls(places, own)

    def start(self) -> None:
        """Begin to ask, in the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop asking."""
        self._closed.set()

    def join(self) -> None:
        """Wait until the thread has ended: the cluster is lost, or `close` was called."""
        self._thread.join()

    def answers(self) -> bool:
        """Ask all places now and tell whether every one answers."""
        return not self.lost and all(_answers(place) for place in self._places.values())

    def raise_if_lost(self) -> None:
        """Raise ClusterLost if the cluster is lost."""
        if self.lost:
            self._heard.set()
            raise ClusterLost(self.lost)

    def check(self) -> None:
        """Ask all places now, and wait until a silence has lasted long enough or is over.

        Raises:
            ClusterLost: it lasted.
        """
        if self.await_verdict():
            raise ClusterLost(self.lost)

    def await_verdict(self) -> bool:
        """Ask and wait as `check` does, and tell whether the cluster is lost."""
        deadline = time.monotonic() + self._patience_s + 2 * _KNOCK_S
        while not self.lost and not self.answers() and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.lost:
            self._heard.set()
        return bool(self.lost)

    def _work(self) -> None:
        while not self._closed.wait(_EVERY_S) and not self.lost:
            for name, place in self._places.items():
                if _answers(place):
                    self._since.pop(name, None)
                    continue
                since = self._since.setdefault(name, time.monotonic())
                if time.monotonic() - since >= self._patience_s:
                    self.lost = f"{name} at {place[0]}:{place[1]} does not answer"
        if self.lost and self.in_use and not self._heard.wait(STUCK_S):
            self.on_stuck(self.lost)


def _answers(place: Place) -> bool:
    try:
        socket.create_connection(place, timeout=_KNOCK_S).close()
    except OSError:
        return False
    return True
