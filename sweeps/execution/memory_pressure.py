"""The machine has no memory left: what Ray's memory monitor killed, and waiting until there is some again.

Ray kills the newest worker when most of the machine's memory is in use, by whomever. Only a worker that takes more than
half of it is to blame itself; the others go on from their checkpoints when there is room.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

GIB = 2**30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
_NEEDED_GIB = 0.5
_SIGNS = ("OutOfMemoryError", "running low on memory")
_LIMIT = re.compile(r"was ([\d.]+)GB used / ([\d.]+)GB limit")
_VICTIM = re.compile(r"Selected to kill: .*?pid=(\d+), actual memory used=([\d.]+)GB")
_WORKER = re.compile(r"^\d+\s+([\d.]+)\s+ray::JobActor", re.MULTILINE)


@dataclass(frozen=True)
class Victim:
    """A worker that Ray's memory monitor killed.

    Args:
        pid: of its process.
        used_gib: its own memory.
    """

    pid: int
    used_gib: float


class MemoryPressure(Exception):
    """The machine had no memory left, and Ray killed workers.

    Args:
        victims: as far as Ray names them.
        used_gib: memory in use then.
        total_gib: of the machine; 0: Ray did not say.
        workers_gib: of it by workers of ours.
    """

    def __init__(self, victims: list[Victim], used_gib: float, total_gib: float, workers_gib: float) -> None:
        super().__init__(f"{used_gib:.1f} of {total_gib:.1f} GiB were in use")
        self.victims, self.used_gib, self.total_gib, self.workers_gib = victims, used_gib, total_gib, workers_gib

    @property
    def by_workers(self) -> bool:
        """Tell whether our workers together took most of the memory, so that fewer at a time would do."""
        return self.total_gib > 0 and self.workers_gib > self.total_gib / 2

    def is_to_blame(self, victim: Victim) -> bool:
        """Tell whether a worker alone took more than half of the memory."""
        return self.total_gib > 0 and victim.used_gib > self.total_gib / 2


def read_pressure(text: str) -> MemoryPressure | None:
    """Read what Ray says of a worker's death, if its memory monitor killed it; None: it did not."""
    if not any(sign in text for sign in _SIGNS):
        return None
    limit = _LIMIT.search(text)
    used, total = (float(limit[1]), float(limit[2])) if limit else (0.0, 0.0)
    victims = [Victim(int(pid), float(size)) for pid, size in _VICTIM.findall(text)]
    return MemoryPressure(victims, used, total, sum(map(float, _WORKER.findall(text))))


def pressure_in(error: BaseException) -> MemoryPressure | None:
    """Find the pressure that an exception out of Ray Tune's loop tells of, or what caused it; None: none does."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, MemoryPressure):
            return link
        if found := read_pressure(f"{type(link).__name__}: {link}"):
            return found
        link = link.__cause__ or link.__context__
    return None


def memory_in_use() -> tuple[float, float]:
    """Return GiB in use and in all, as Ray's monitor counts: of the machine, or of a container that has less."""
    machine = psutil.virtual_memory()
    used, total = float(machine.total - machine.available), float(machine.total)
    limit, taken = _container()
    return (taken / GIB, limit / GIB) if 0 < limit < total else (used / GIB, total / GIB)


def await_memory(
    say: Callable[[str], None], stopped: Callable[[], bool], pause_s: float, needed_gib: float = _NEEDED_GIB
) -> None:
    """Wait until a worker would fit below the mark at which Ray's monitor kills.

    Args:
        say: told what is waited for, at every look.
        stopped: True: wait no more.
        pause_s: before the first look; it doubles from look to look.
        needed_gib: of a worker.
    """
    share = float(os.environ.get("RAY_memory_usage_threshold", "0.95"))  # noqa: SIM112 - Ray's own name
    while not stopped():
        pause(pause_s, stopped)
        used, total = memory_in_use()
        room = share * total - max(needed_gib, _NEEDED_GIB)
        if used <= room:
            return
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        say(
            f"  waiting for memory: {used:.1f} of {total:.1f} GiB are in use on this machine, and a trial needs it to "
            f"be {max(room, 0):.1f} at most; next look in {pause_s:.0f} s"
        )


def pause(seconds: float, stopped: Callable[[], bool]) -> None:
    """Sleep, unless `stopped` says so."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stopped():
        time.sleep(min(0.2, seconds))


def _container() -> tuple[float, float]:
    """Read limit and use of the control group, in bytes; zeros: there is none."""
    for limit, use, inactive in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
    ):
        root = Path("/sys/fs/cgroup")
        try:
            most, taken = (root / limit).read_text().strip(), (root / use).read_text().strip()
            stat = (root / use).with_name("memory.stat").read_text()
        except OSError:
            continue
        cached = re.search(rf"^{inactive} (\d+)$", stat, re.MULTILINE)
        if most != "max":
            return float(most), float(taken) - (float(cached[1]) if cached else 0.0)
    return 0.0, 0.0
