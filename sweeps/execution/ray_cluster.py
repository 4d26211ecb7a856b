"""The connection to Ray: to a cluster of our own or somebody's, and what that has. Import this before Ray."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sweeps.execution.cluster_watch import ClusterWatch
from sweeps.execution.connection import check_connection
from sweeps.execution.head_process import HOST, Head, importable_in_workers, running_head
from sweeps.execution.slots import Slots
from tsvan.terminal import say
from tsvan.validation import UserError, first_line

import ray  # isort: skip

_JOIN_S = 60.0
_QUIET: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}


@contextmanager
def own_cluster(slots: Slots) -> Iterator[ClusterWatch]:
    """Start a cluster on this machine, with `slots`, that ends with the block, and connect to it.

    Raises:
        UserError: it does not start.
    """
    with running_head(slots) as head, connected_to(head) as watch:
        yield watch


@contextmanager
def connected_to(head: Head) -> Iterator[ClusterWatch]:
    """Connect to our own cluster, which is being started, for the block.

    Raises:
        UserError: it does not start.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        head.await_start()
        ray.init(address=head.address, _node_ip_address=HOST, **_QUIET)
        yield from _watched(own=True)
    finally:
        ray.shutdown()


@contextmanager
def joined_cluster(address: str) -> Iterator[ClusterWatch]:
    """Connect to somebody's cluster, for the block.

    Raises:
        UserError: it can't be joined.
    """
    importable_in_workers()
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        check_connection(address)
        try:
            with _deadline(address):
                ray.init(address=address, runtime_env={"env_vars": _for_workers()}, **_QUIET)
        except (OSError, ValueError) as error:
            text = first_line(error)
            raise UserError(f"no Ray cluster at '{address}' ({text}); start one, or leave --address out") from None
        yield from _watched(own=False)
    finally:
        ray.shutdown()


def _for_workers() -> dict[str, str]:
    """Return what of this process's environment holds for workers on other machines, too."""
    return {"OMP_WAIT_POLICY": os.environ["OMP_WAIT_POLICY"]}  # which `tsvan` sets where the user does not


def num_nodes() -> int:
    """Count the machines in the cluster."""
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]


def cluster_resources() -> dict[str, float]:
    """Return how much `CPU` and `GPU` the cluster has."""
    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return {name: float(found.get(name, 0)) for name in ("CPU", "GPU")}


def _watched(own: bool) -> Iterator[ClusterWatch]:
    watch = ClusterWatch.connected(own)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


@contextmanager
def _deadline(address: str) -> Iterator[None]:
    """End this process where Ray waits for an answer without end: nothing has begun yet, and its waiting can't be
    interrupted."""
    answered = threading.Event()

    def watch() -> None:
        if not answered.wait(_JOIN_S):
            text = f"no answer from a Ray cluster at '{address}' within {_JOIN_S:.0f} s"
            say(f"error: {text}; see that it is one that this user may join, or leave --address and RAY_ADDRESS out")
            os._exit(2)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        answered.set()
