"""Memory that another program takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

GIB = 2**30


def share_in_use(beyond_gib: float) -> float:
    """The share of the machine's memory that is in use, and so much more."""
    machine = psutil.virtual_memory()
    return float((machine.total - machine.available + beyond_gib * GIB) / machine.total)


@contextmanager
def taking_memory(over: float) -> Iterator[None]:
    """Another program takes memory until the machine is 1 GiB beyond a share, and gives it back after the block."""
    size = int((over - share_in_use(beyond_gib=-1)) * psutil.virtual_memory().total)
    script = f"held = bytearray({max(size, 0)}); held[::4096] = b'x' * len(held[::4096]); input()"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as program:
        try:
            yield
        finally:
            program.kill()
