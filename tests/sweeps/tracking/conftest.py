"""A real MLflow store, made once and copied, and an uploader on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.config.schema import SweepConfig
from sweeps.state.job import Job
from sweeps.state.paths import StudyPaths
from sweeps.state.uris import sqlite_uri
from sweeps.tracking.client import Tracker
from sweeps.tracking.uploader import Uploader
from tests.sweeps.studies import job_maker
from tests.sweeps.tracking.uploads import make_uploader


@pytest.fixture(scope="session")
def fresh_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make a store: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("mlflow")
    Tracker(sqlite_uri(folder / "mlflow.db"), "other", folder / "artifacts").open()
    return folder / "mlflow.db"


@pytest.fixture
def uri(fresh_store: Path, paths: StudyPaths) -> str:
    shutil.copy(fresh_store, paths.tracking_database)
    paths.config.write_text("study_id: abc\n")
    return sqlite_uri(paths.tracking_database)


@pytest.fixture
def job(config: SweepConfig, paths: StudyPaths) -> Job:
    job = job_maker(config, paths)(7, {"lambda2": 5.0})
    job.write()
    return job


@pytest.fixture
def uploader(paths: StudyPaths, uri: str) -> Iterator[Uploader]:
    uploader = make_uploader(paths, uri)
    uploader.start()
    yield uploader
    uploader.close("complete", timeout_s=1)
