from __future__ import annotations

import pytest
import torch

from sweeps.execution.system_metrics import Meter


class NVMLError(Exception):
    """As NVIDIA's library has it: no RuntimeError."""


def test_a_gpu_that_does_not_say_how_busy_it_is_ends_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: torch.device) -> int:
        raise NVMLError("Not Supported")

    monkeypatch.setattr(torch.cuda, "utilization", refuse)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3_000_000, 4_000_000))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 500_000)
    values = Meter(torch.device("cuda", 0)).read()
    assert values["system/gpu_0_memory_usage_percentage"] == 25
    assert values["system/process_gpu_memory_megabytes"] == 0.5
    assert "system/gpu_0_utilization_percentage" not in values
