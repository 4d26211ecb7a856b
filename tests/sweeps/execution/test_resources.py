from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from sweeps.config.load import load
from sweeps.execution.gpu_share import gpu_share
from sweeps.state.paths import StudyPaths

GIB = 2**30


@pytest.mark.parametrize(("total", "peak", "trials"), [(80, 7.0, 9), (80, 8.18, 7), (24, 40.0, 1)])
def test_as_many_trials_share_a_gpu_as_fit_beside_the_study_itself(
    total: int, peak: float, trials: int, paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=total * GIB))
    paths.memory.parent.mkdir()
    paths.memory.write_text(json.dumps({"peak_bytes": int(peak * GIB)}))
    assert gpu_share(load("weizmann", "smoke", ["resources.gpus_per_trial=auto"])[0], paths) == 1 / trials


def test_a_share_that_is_asked_for_is_taken(paths: StudyPaths) -> None:
    assert gpu_share(load("weizmann", "smoke", ["resources.gpus_per_trial=0.5"])[0], paths) == 0.5
