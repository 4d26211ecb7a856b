"""Where a training step's time goes on a device: its kernels, grouped by name.

    python -m benchmarks.device --parts profile --out DIR
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

LARGEST, NAME = 10, 90  # rows of a step, and the letters that are kept of a kernel's name


def kernels_of(run: Callable[[], object], wait: Callable[[], object]) -> Iterator[dict[str, Any]]:
    """Profile one call: yield what it does in all, then its groups of kernels, the longest first.

    Args:
        run: takes one step; it has run before.
        wait: returns once the device has done all of it.

    Yields:
        `kernel`, `calls`, and `busy_ms`, the milliseconds that the device (without one, the processor) works on them.
    """
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile, supported_activities

    cuda = ProfilerActivity.CUDA in supported_activities()
    with profile(activities=[ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]) as profiler:
        run()
        wait()
    calls, busy = defaultdict[str, int](int), defaultdict[str, float](float)
    for event in profiler.events() or []:
        if (event.device_type == DeviceType.CUDA) is cuda:
            name = event.name[:NAME]
            calls[name] += 1
            busy[name] += (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1000
    yield {"kernel": "all", "calls": sum(calls.values()), "busy_ms": sum(busy.values())}
    for name in sorted(busy, key=busy.__getitem__, reverse=True)[:LARGEST]:
        yield {"kernel": name, "calls": calls[name], "busy_ms": busy[name]}
