"""A study of 24 trials in MLflow, written by the MLflow client alone: no training."""

from __future__ import annotations

import pytest

import sweeps.tracking.client  # noqa: F401 - MLflow's environment
from analysis.reading import Study, read_study
from tests.analysis.studies import TRIALS, write_study


@pytest.fixture(scope="session")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finished study `made`, an older one without trials, `empty`, and a newer one that still runs, `young`."""
    folder = tmp_path_factory.mktemp("store")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    write_study(store, folder, "empty", trials=0, status="RUNNING")
    write_study(store, folder, "made", TRIALS, final=True)
    write_study(store, folder, "young", trials=2, status="RUNNING")
    return store


@pytest.fixture(scope="session")
def study(uri: str) -> Study:
    return read_study(uri)
