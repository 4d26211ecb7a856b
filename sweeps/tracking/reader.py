"""What MLflow holds of a study, looked at only: nothing is written, made or migrated."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.state.uris import database_file, shown_uri
from sweeps.tracking.client import KEY
from sweeps.tracking.environment import quiet
from sweeps.tracking.trouble import trouble

if TYPE_CHECKING:
    from mlflow.entities import Run

_PAGE = 500
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
        return [
            TrackedRun(
                key=run.data.tags.get(KEY, ""),
                run_id=str(run.info.run_id),
                status=str(run.info.status),
                state=run.data.tags.get("state", ""),
                steps=tuple(
                    sorted(point.step for point in client.get_metric_history(run.info.run_id, "score"))
                    if "score" in run.data.metrics
                    else ()
                ),
            )
            for run in runs
        ]
    except Exception as error:  # MLflow passes on whatever its store or the network raises
        raise NotTold(trouble(error, uri).text) from None


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
    connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
    try:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    finally:
        connection.close()
