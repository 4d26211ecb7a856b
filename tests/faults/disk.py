"""A small file system that can be filled, folders that can't be written, databases that are locked."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.harness import Driver


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 64 MB at a new folder for the block; False: none can be mounted here."""
    folder.mkdir()
    mounted = not mount(folder, "size=64m")
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(folder: Path, options: str) -> str:
    """Mount a file system in memory; why it can't be, else nothing."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return str(error)
    return "" if made.returncode == 0 else made.stderr.strip() or "it failed"


def fill(filler: Path, while_runs: Driver) -> None:
    """Take every byte that is free or becomes free, until the driver has ended."""
    deadline = time.monotonic() + 300
    with open(filler, "wb", buffering=0) as file:
        while while_runs.process.poll() is None:
            try:
                file.write(bytes(1 << 20))
            except OSError:
                assert time.monotonic() < deadline, f"it works on without room:\n{while_runs.text}"
                time.sleep(0.05)


def lock(databases: list[Path], seconds: float) -> None:
    """Hold them as another program would."""
    locks = [sqlite3.connect(path, isolation_level=None, timeout=20) for path in databases]
    for held in locks:
        held.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    for held in locks:
        held.close()
