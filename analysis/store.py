"""The tracking store behind the notebooks: finding it, the studies in it, and the files of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

import sweeps.tracking.client  # noqa: F401 - sets MLflow's environment (no telemetry, no progress bars) before it is imported
from sweeps.state.uris import database_file, sqlite_uri
from tsvan.validation import UserError, first_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

ROOT = Path(__file__).resolve().parents[1]
"""Of the repository; a notebook's working directory is its own folder."""


def list_studies(uri: str) -> pd.DataFrame:
    """List all studies of a store, newest first: `name`, `dataset`, `preset`, `data`, `status`, `started`, `run_id`.

    Raises:
        UserError: there is no such store.
    """
    rows = [
        {
            "name": run.data.tags.get("study", run.info.run_name),
            "dataset": run.data.tags.get("dataset", ""),
            "preset": run.data.tags.get("preset", ""),
            "data": run.data.tags.get("data.source", ""),
            "status": run.info.status,
            "started": pd.Timestamp(run.info.start_time, unit="ms"),
            "run_id": run.info.run_id,
        }
        for run in _studies(connect(uri))
    ]
    return pd.DataFrame(rows, columns=["name", "dataset", "preset", "data", "status", "started", "run_id"])


def connect(uri: str) -> MlflowClient:
    """Return a client of an existing store.

    Raises:
        UserError: the file is not there; MLflow alone would make an empty store of that name.
    """
    from mlflow import MlflowClient

    uri = absolute_uri(uri)
    database = database_file(uri)
    if database is not None and not database.exists():
        raise UserError(
            f"no MLflow store at {database}; set TSVAN_TRACKING_URI to the one that tune_runner.py printed at its end"
        )
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def absolute_uri(uri: str) -> str:
    """Return an address with the SQLite path made absolute.

    A relative one is meant from the working directory or, if nothing is there, from the repository.
    """
    database = database_file(uri)
    if database is None or database.is_absolute():
        return uri
    found = database if database.exists() else ROOT / database
    return sqlite_uri(found.resolve())


def download(client: MlflowClient, run_id: str, name: str, folder: Path) -> Path:
    """Download one file of a run.

    Raises:
        UserError: the run does not have it.
    """
    from mlflow.exceptions import MlflowException

    try:
        return Path(client.download_artifacts(run_id, name, str(folder)))
    except (MlflowException, OSError) as error:
        text = first_line(error)
        raise UserError(f"MLflow run {run_id} has no readable {name} ({text}); is the artifact folder there?") from None


def find_study(client: MlflowClient, uri: str, study: str | None) -> Run:
    """Find the parent run of a study.

    Args:
        study: its name or the id of that run; None: the newest finished study.

    Raises:
        UserError: there is none; says which there are.
    """
    known = _studies(client)
    if study is None:
        matching = [run for run in known if run.info.status == "FINISHED"]
    else:
        matching = [run for run in known if study in (run.info.run_id, run.data.tags.get("study"), run.info.run_name)]
    if matching:
        return matching[0]
    names = ", ".join(f"{run.data.tags.get('study')} ({run.info.status.lower()})" for run in known[:10]) or "none"
    wanted = "no finished study" if study is None else f"no study '{study}'"
    raise UserError(f"{wanted} in {uri}; studies there: {names}; set TSVAN_STUDY to a name or a parent run's id")


def finished_studies(client: MlflowClient) -> list[str]:
    """List the parent runs of all finished studies of a store, oldest first."""
    return [str(run.info.run_id) for run in reversed(_studies(client)) if run.info.status == "FINISHED"]


def search(client: MlflowClient, experiments: list[str], query: str) -> list[Run]:
    """Return all runs that match, over all pages of the answer."""
    found: list[Run] = []
    token = None
    while True:
        page = client.search_runs(experiments, query, max_results=500, page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _studies(client: MlflowClient) -> list[Run]:
    experiments = [found.experiment_id for found in client.search_experiments()]
    found = search(client, experiments, "tags.stage = 'study'") if experiments else []
    return sorted(found, key=lambda run: -int(run.info.start_time))
