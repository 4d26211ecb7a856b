"""An empty study folder and a small study's config."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.schema import SweepConfig
from sweeps.state.paths import StudyPaths


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """An empty study folder."""
    (tmp_path / "study").mkdir()
    return StudyPaths(tmp_path / "study")


@pytest.fixture
def config() -> SweepConfig:
    """Six trials of 100 iterations, scored every 10; no pre-training."""
    return load("weizmann", "smoke", ["trials=6", "budget.iterations=100", "objective=inception_score"])[0]
