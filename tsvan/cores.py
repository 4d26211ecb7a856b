"""The CPU cores that this process may use, which are often fewer than the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")


def available_cores() -> int:
    """Return how many cores the affinity (`taskset`) and the quota (a container's `--cpus`) leave this process."""
    return max(1, min([_by_affinity(), *(math.ceil(quota) for quota in quotas(_CGROUPS, Path("/proc/self/cgroup")))]))


def quotas(root: Path, own: Path) -> Iterator[float]:
    """Yield the CPU quotas, in cores, of this process's control group and of those above it.

    Args:
        root: where control groups are mounted.
        own: the file that names the process's groups, as `0::/a/b`, or `4:cpu,cpuacct:/a/b` of version 1.
    """
    with suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            number, controllers, name = line.split(":", 2)
            if number == "0" and not controllers:
                yield from filter(None, (_quota(group / "cpu.max") for group in _upward(root, name)))
            elif "cpu" in controllers.split(","):
                yield from filter(None, (_old_quota(group) for group in _upward(root / "cpu", name)))


def _by_affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _upward(root: Path, name: str) -> Iterator[Path]:
    """Yield the folders of a group and of those above it; in a container its own is mounted as the root."""
    group = Path(name.lstrip("/"))
    yield from (root / path for path in (group, *group.parents))


def _quota(file: Path) -> float | None:
    """Read a quota, in cores, from `max 100000` (None: there is none), or microseconds a period: `150000 100000`."""
    with suppress(OSError, ValueError):
        quota, period = file.read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    return None


def _old_quota(group: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota = int((group / "cpu.cfs_quota_us").read_text())
        return quota / int((group / "cpu.cfs_period_us").read_text()) if quota > 0 else None
    return None
