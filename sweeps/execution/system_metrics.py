"""How busy the machine is while a job trains: MLflow's "system metrics", written with every checkpoint."""

from __future__ import annotations

from contextlib import suppress

import psutil  # type: ignore[import-untyped]
import torch


class Meter:
    """A meter of the use of processor and memory since it was read last; names as in MLflow's own monitor.

    Args:
        device: that the job trains on.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._process = device, psutil.Process()
        self._process.cpu_percent()  # the first one of each has nothing to compare with
        psutil.cpu_percent()

    def read(self) -> dict[str, float]:
        """Return metric -> value; percentages are means since the last call, that of the process is of one core."""
        memory = psutil.virtual_memory()
        values = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/system_memory_usage_megabytes": memory.used / 1e6,
            "system/system_memory_usage_percentage": memory.percent,
            "system/process_cpu_percentage": self._process.cpu_percent(),
            "system/process_memory_megabytes": self._process.memory_info().rss / 1e6,
        }
        return {**values, **self._gpu()} if self._device.type == "cuda" else values

    def _gpu(self) -> dict[str, float]:
        free, total = torch.cuda.mem_get_info(self._device)
        values = {
            "system/gpu_0_memory_usage_megabytes": (total - free) / 1e6,
            "system/gpu_0_memory_usage_percentage": 100 * (total - free) / total,
            "system/process_gpu_memory_megabytes": torch.cuda.max_memory_allocated(self._device) / 1e6,
        }
        with suppress(Exception):  # NVIDIA's library may be missing, or refuse with errors of its own
            values["system/gpu_0_utilization_percentage"] = float(torch.cuda.utilization(self._device))
        return values
