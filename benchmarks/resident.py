"""Resident memory of a process and all its descendants, sampled: PSS, so that shared pages count once."""

from __future__ import annotations

import statistics
import subprocess
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

EVERY_S = 1.0


class Watch:
    """Looks at a process tree.

    Args:
        root: process id of its root.
    """

    def __init__(self, root: int) -> None:
        self._known = {root: psutil.Process(root)}
        self.samples: list[tuple[float, float, int]] = []

    def until_exit(self, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
        """Sample until the root has ended; each sample is (time, MiB, processes)."""
        while process.poll() is None:
            self.sample()
            try:
                process.wait(EVERY_S)
            except subprocess.TimeoutExpired:
                continue

    def sample(self) -> None:
        """Take one look. Who lost its parent since the last look still counts."""
        for known in list(self._known.values()):
            try:
                for child in known.children(recursive=True):
                    self._known.setdefault(child.pid, child)
            except psutil.NoSuchProcess:
                continue
        sizes = []
        for pid, known in list(self._known.items()):
            size = pss_mib(pid) if known.is_running() else None
            if size is None:
                del self._known[pid]
            else:
                sizes.append(size)
        if sizes:
            self.samples.append((time.time(), sum(sizes), len(sizes)))

    def peak_mib(self) -> float:
        """Return the largest sample."""
        return max((size for _, size, _ in self.samples), default=0.0)

    def median_mib(self, start: float, end: float) -> float:
        """Compute the median of the samples between two times."""
        return statistics.median(size for at, size, _ in self._between(start, end))

    def median_processes(self, start: float, end: float) -> float:
        """Compute the median number of processes between two times."""
        return float(statistics.median(number for at, _, number in self._between(start, end)))

    def _between(self, start: float, end: float) -> list[tuple[float, float, int]]:
        return [sample for sample in self.samples if start <= sample[0] <= end]


def pss_mib(pid: int) -> float | None:
    """Read the proportional set size of a process, from /proc; None when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return None
    values = {name: rest for name, _, rest in (line.partition(":") for line in lines)}
    return float(values["Pss"].split()[0]) / 1024 if "Pss" in values else None
