"""The tracking store: made whole or not at all, opened, and its experiment found or made."""

from __future__ import annotations

import fcntl
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sweeps.state.uris import database_file, shown_uri, sqlite_uri
from sweeps.tracking.environment import quiet
from tsvan.files import NO_LOCKS, make_folder, publish
from tsvan.validation import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment


def connect(uri: str) -> MlflowClient:
    """Open a store; a fresh SQLite store is made first."""
    from mlflow import MlflowClient

    quiet()
    with _one_at_a_time(uri):
        _make_database(uri)
        return MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment_of(client: MlflowClient, name: str, artifacts: Path | None) -> str:
    """Find an experiment, or make it.

    Args:
        artifacts: where a new one puts its artifacts; None: the server decides.

    Returns:
        Its id.

    Raises:
        UserError: somebody deleted it.
    """
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        location = artifacts.as_uri() if artifacts is not None else None
        with suppress(MlflowException):  # another study may have been quicker
            client.create_experiment(name, artifact_location=location)
        found = client.get_experiment_by_name(name)
    if found is None:
        client.create_experiment(name, artifact_location=location)  # not quicker: raises why it can't be made
        found = client.get_experiment_by_name(name)
    assert found is not None
    refuse_deleted(found, client.tracking_uri)
    return str(found.experiment_id)


def refuse_deleted(experiment: Experiment, uri: str) -> None:
    """Refuse to write into an experiment that somebody deleted: to restore it brings back all its runs.

    Raises:
        UserError: says how to restore it.
    """
    if experiment.lifecycle_stage == "deleted":
        raise UserError(
            f"MLflow's experiment {experiment.name} was deleted; restore it with "
            f"'{restore_command(uri, str(experiment.experiment_id))}', or give another one with --experiment NAME"
        )


def restore_command(uri: str, experiment_id: str) -> str:
    """Return the command that restores a deleted experiment."""
    return (
        f"MLFLOW_TRACKING_URI={shlex.quote(shown_uri(uri))} mlflow experiments restore --experiment-id {experiment_id}"
    )


@contextmanager
def _one_at_a_time(uri: str) -> Iterator[None]:
    """Hold the lock of a SQLite store during the block.

    Two processes that make the same store at once break it for good: their migrations race.
    """
    database = database_file(uri)
    if database is None:
        yield
        return
    make_folder(database.parent)
    with open(database.with_suffix(".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


def _make_database(uri: str) -> None:
    """Make a fresh SQLite store in a folder of its own and rename it: whoever dies in MLflow's migrations leaves none,
    where a half-migrated one would be broken for good."""
    database = database_file(uri)
    if database is None or (database.exists() and database.stat().st_size):
        return
    from mlflow import MlflowClient

    folder = database.with_name(f".{database.name}.new")
    shutil.rmtree(folder, ignore_errors=True)  # of a driver that died here, with the journal of its last transaction
    folder.mkdir()
    new = folder / database.name
    MlflowClient(tracking_uri=sqlite_uri(new)).search_experiments(max_results=1)  # MLflow makes a store that it opens
    publish(new, database)
    shutil.rmtree(folder, ignore_errors=True)
