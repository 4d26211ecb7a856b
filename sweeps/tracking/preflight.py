"""Whether MLflow takes a study, asked before it begins. Nothing is written, made or migrated."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sweeps.state.uris import database_file, shown_uri
from sweeps.tracking.destination import Destination
from sweeps.tracking.environment import quiet
from sweeps.tracking.reader import STORE_TABLES, tables
from sweeps.tracking.store import refuse_deleted
from sweeps.tracking.trouble import trouble
from tsvan.validation import UserError

_CONNECT_S = 10


@dataclass(frozen=True)
class Answer:
    """What MLflow said.

    Args:
        text: a few words for people.
        is_there: it answered; else it is away by now, and the study trains on without it.
    """

    text: str
    is_there: bool = True


def ask(where: Destination) -> Answer:
    """Check whether MLflow will take a study.

    Raises:
        UserError: it will not, tomorrow neither: another version's store, a wrong password, no right, a missing
            driver, a deleted experiment. Says what to do.
    """
    try:
        if not _has_store(where.uri):
            return Answer("a new store")
        return _experiment(where)
    except Exception as error:  # MLflow passes on whatever its store or the network raises
        found = trouble(error, where.uri)
        if not found.passes:
            raise UserError(f"MLflow in {shown_uri(where.uri)}: {found.text}") from None
        return Answer(f"{found.text}; the trials need it not, and it gets everything when it is back", is_there=False)


def _has_store(uri: str) -> bool:
    """Tell whether there is a store to be asked; an empty place becomes one when the study begins."""
    if uri.startswith(("http://", "https://")):
        return True
    file = database_file(uri)
    found = _tables(uri) if file is None else _file_tables(file)
    if found and not found >= STORE_TABLES:
        raise UserError("it is a database of something else; give another one with --tracking-uri")
    return bool(found)


def _file_tables(file: Path) -> set[str]:
    place = next(folder for folder in (file, *file.absolute().parents) if os.path.lexists(folder))
    if file.is_dir() or not (place.is_dir() or place == file):
        raise UserError(f"{place} is no database; give another one with --tracking-uri")
    if not all(os.access(path, os.W_OK) for path in {place, file.absolute().parent if place == file else place}):
        raise UserError(f"no permission to write {place}; give another store with --tracking-uri")
    try:
        return tables(file) if place == file else set()
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise UserError(f"{error}; move {file} away, or give another one with --tracking-uri") from None


def _tables(uri: str) -> set[str]:
    """Return the names of the tables of a database on a server.

    It is asked before MLflow, which would try for minutes, and make what is not there.
    """
    import sqlalchemy

    url = sqlalchemy.make_url(uri)
    limits = {"connect_timeout": _CONNECT_S} if url.get_backend_name() in ("postgresql", "mysql") else {}
    engine = sqlalchemy.create_engine(url, connect_args=limits)
    try:
        with engine.connect() as connection:
            return set(sqlalchemy.inspect(connection).get_table_names())
    finally:
        engine.dispose()


def _experiment(where: Destination) -> Answer:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    quiet()
    client = MlflowClient(tracking_uri=where.uri, registry_uri=where.uri)
    found = client.get_experiment_by_name(where.experiment)
    if found is not None:
        refuse_deleted(found, where.uri)
    try:
        client.get_registered_model(where.model)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    return Answer(f"experiment {where.experiment}{'' if found is not None else ' (new)'}")
