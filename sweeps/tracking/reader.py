"""What MLflow holds of a study, looked at only: nothing is written, made or migrated."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.state.uris import database_file, shown_uri
from sweeps.tracking.client import KEY
from sweeps.tracking.environment import quiet
from sweeps.tracking.trouble import trouble

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 500
_AT_ONCE = 8
_SCORE = "score"
_RUNS = """
    SELECT runs.run_uuid, runs.status, coalesce(names.value, ''), coalesce(states.value, '')
    FROM tags AS studies
    JOIN runs ON runs.run_uuid = studies.run_uuid AND runs.lifecycle_stage = 'active'
    JOIN experiments ON experiments.experiment_id = runs.experiment_id AND experiments.name = :experiment
    LEFT JOIN tags AS names ON names.run_uuid = runs.run_uuid AND names.key = :key
    LEFT JOIN tags AS states ON states.run_uuid = runs.run_uuid AND states.key = 'state'
    WHERE studies.key = 'study.id' AND studies.value = :study
    ORDER BY runs.start_time DESC, runs.run_uuid
"""
_STEPS = """
    SELECT metrics.run_uuid, metrics.step FROM metrics
    JOIN tags ON tags.run_uuid = metrics.run_uuid AND tags.key = 'study.id' AND tags.value = :study
    WHERE metrics.key = :metric ORDER BY metrics.step
"""
STORE_TABLES = {"runs", "metrics", "tags", "alembic_version"}
"""What a database of MLflow has at least."""


class NotTold(Exception):
    """MLflow can't be asked; says why."""


@dataclass(frozen=True)
class TrackedRun:
    """A run of a study.

    Args:
        key: study id and the job's name, or `parent`.
        run_id: MLflow's.
        status: MLflow's, `RUNNING`, `FINISHED`, `KILLED`, `FAILED`.
        state: tag `state`, as the study's own files call it; empty where there is none.
        steps: iterations of the metric `score`, in order, as often as they are there.
    """

    key: str
    run_id: str
    status: str
    state: str
    steps: tuple[int, ...]


def tracked_runs(uri: str, experiment: str, study_id: str) -> list[TrackedRun]:
    """Return all runs of a study.

    Raises:
        NotTold: there is no such store, it is away or locked, or of another version.
    """
    _check_database(uri)
    file = database_file(uri)
    if file is not None:
        with suppress(sqlite3.Error):  # a version with other tables: MLflow itself says what that means
            return _read(file, experiment, study_id)
    from mlflow import MlflowClient

    quiet()
    try:
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            return []
        runs: list[Run] = []
        token = None
        while True:
            query = f"tags.`study.id` = '{study_id}'"
            page = client.search_runs([found.experiment_id], query, max_results=_PAGE, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(lambda run: _tracked(client, run), runs))
    except Exception as error:  # MLflow passes on whatever its store or the network raises
        raise NotTold(trouble(error, uri).text) from None


def _tracked(client: MlflowClient, run: Run) -> TrackedRun:
    run_id, tags = str(run.info.run_id), run.data.tags
    points = client.get_metric_history(run_id, _SCORE) if _SCORE in run.data.metrics else []
    steps = tuple(sorted(point.step for point in points))
    return TrackedRun(tags.get(KEY, ""), run_id, str(run.info.status), tags.get("state", ""), steps)


def _read(file: Path, experiment: str, study_id: str) -> list[TrackedRun]:
    """Read the runs of a study out of a SQLite store: MLflow takes seconds to be imported, and a request for each run.

    Raises:
        sqlite3.Error: it is locked, or has other tables.
    """
    steps: dict[str, list[int]] = {}
    connection = _connected(file)
    try:
        runs = connection.execute(_RUNS, {"experiment": experiment, "study": study_id, "key": KEY}).fetchall()
        for run_id, step in connection.execute(_STEPS, {"study": study_id, "metric": _SCORE}):
            steps.setdefault(run_id, []).append(step)
    finally:
        connection.close()
    return [TrackedRun(key, run_id, status, state, tuple(steps.get(run_id, ()))) for run_id, status, key, state in runs]


def _check_database(uri: str) -> None:
    """Refuse a place without MLflow's store, with NotTold: MLflow itself would make a store where there is none."""
    file = database_file(uri)
    if file is None:
        return
    if not file.is_file():
        raise NotTold(f"there is no {shown_uri(uri)}")
    try:
        names = tables(file)
    except sqlite3.Error as error:
        raise NotTold(str(error)) from None
    if not names >= STORE_TABLES:
        raise NotTold(f"{shown_uri(uri)} is no MLflow store")


def tables(file: Path) -> set[str]:
    """Return the names of a SQLite file's tables; nothing is written.

    Raises:
        sqlite3.Error: it is no database, or locked.
    """
    connection = _connected(file)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()


def _connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
