"""A database of the user's that holds Optuna studies of several people: PostgreSQL, or another that Optuna takes.

The study is found in it by a name of its own. Connections are made here, so that the address that Optuna and its
messages know holds no password, and a database that is restarted is waited for.
"""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from sweeps.state.drivers import missing_driver
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord, read_record
from sweeps.state.uris import shown_uri, with_secrets, without_secrets
from tsvan.validation import UserError, first_line

ENVIRONMENT = "OPTUNA_STORAGE"
"""The variable by which Optuna's own command knows its storage."""
OWN = "folder"
"""In place of an address: the study's own `study.db`."""
WAIT_S = 120.0
"""How long a database that went away is waited for; one that never answered is not."""

_BACKENDS = ("postgresql", "mysql", "mariadb", "mssql", "oracle", "sqlite")
_CONNECT_S = 10
_TRIES = 10
_REMEDIES = {
    "password": f"put the address with user and password into {ENVIRONMENT}",
    "role": f"put the address with user and password into {ENVIRONMENT}",
    "does not exist": "make it, as with 'createdb', or give another --storage",
    "permission denied": "ask its owner for the right to write there",
}
"""Of a server's own words -> what to do; else the server is away."""


def storage_address(asked: str | None, record: StudyRecord | None) -> str:
    """Resolve where a study's Optuna study is: the option first, then as it was begun, then OPTUNA_STORAGE.

    Args:
        asked: `--storage`.
        record: of a study that goes on.

    Returns:
        The address with its secrets; empty: the folder's own.

    Raises:
        UserError: the address names no database that Optuna takes.
    """
    held = os.environ.get(ENVIRONMENT) or ""
    found = asked if asked is not None else held if record is None else record.storage
    if found in ("", OWN):
        return ""
    return with_secrets(_checked(found), held)


def study_name(paths: StudyPaths) -> str:
    """Return the name of the study in a shared database: it stays when the folder is moved, and a copy has another."""
    record = read_record(paths)
    assert record is not None
    return f"tsvan-{record.config['dataset']}-{record.study_id}"


def ask(paths: StudyPaths) -> str:
    """Check whether the database will take a study; nothing is written.

    Returns:
        A few words for people.

    Raises:
        UserError: it does not answer, its driver is missing, or nothing may be written there.
    """
    engine = engine_of(paths.storage)
    with engine.connect() as connection:
        if "studies" not in sqlalchemy.inspect(connection).get_table_names():
            _check_right(connection, "has_schema_privilege('public', 'CREATE')", "create on schema public to {user}")
            return f"{shown_uri(paths.storage)} (its tables are made)"
        grant = "all on all {0} in schema public to {{user}}".format
        _check_right(connection, "has_table_privilege('trials', 'INSERT')", grant("tables"), grant("sequences"))
    storage_of(paths, make_tables=False)  # tables of another version of Optuna
    return shown_uri(paths.storage)


def engine_of(uri: str) -> sqlalchemy.Engine:
    """Open a database that answers. Raises UserError: it does not, or its driver is missing."""
    try:
        engine = sqlalchemy.create_engine(_bare(uri), creator=_Connector(uri), poolclass=sqlalchemy.NullPool)
        engine.connect().close()
    except (ModuleNotFoundError, NoSuchModuleError, DBAPIError) as error:
        raise refusal(error, uri) from None
    return engine


def storage_of(paths: StudyPaths, *, make_tables: bool) -> RDBStorage:
    """Open a study's shared database as Optuna's storage.

    Raises:
        UserError: it does not answer, its driver is missing, or its tables are of another version.
    """
    uri = paths.storage
    try:
        options: dict[str, Any] = {"creator": _Connector(uri, not make_tables), "pool_pre_ping": True}
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise refusal(error, uri) from None
    for count in range(_TRIES):
        try:
            return RDBStorage(str(_bare(uri)), engine_kwargs=options, skip_table_creation=not make_tables)
        except DBAPIError as error:
            made_now = "exist" in str(error) or isinstance(error, IntegrityError)  # by another study, this moment
            if not made_now or count == _TRIES - 1:
                raise refusal(error, uri) from None
            time.sleep(0.2)
        except RuntimeError as error:
            version = without_secrets(first_line(error), uri)
            raise UserError(f"Optuna's storage {shown_uri(uri)}: {version}") from None
    raise AssertionError


def is_there(paths: StudyPaths) -> bool:
    """Tell whether the database holds the study. Raises UserError: it can't be asked."""
    engine = engine_of(paths.storage)
    with engine.connect() as connection:
        if "studies" not in sqlalchemy.inspect(connection).get_table_names():
            return False
    return study_name(paths) in optuna.get_all_study_names(storage_of(paths, make_tables=False))


def refusal(error: BaseException, uri: str) -> UserError:
    """Say in a line without secrets why the database does not take a study, and what to do."""
    if isinstance(error, ModuleNotFoundError):
        text = missing_driver(str(error.name))
    elif isinstance(error, NoSuchModuleError):
        text = f"{first_line(error)}; give another database with --storage"
    else:
        said = first_line(getattr(error, "orig", None) or error)
        remedy = next((remedy for word, remedy in _REMEDIES.items() if word in said), None)
        text = f"{said}; {remedy or 'start it, or give another one with --storage'}"
    return UserError(f"Optuna's storage {shown_uri(uri)}: {without_secrets(text, uri)}")


class _Connector:
    """Makes connections to a database; one that went away is waited for.

    Args:
        uri: its address, with its secrets.
        reads_only: nothing can be written through them, where the database is PostgreSQL.
    """

    def __init__(self, uri: str, reads_only: bool = False) -> None:
        url = make_url(uri)
        kind = url.get_dialect()
        self._dialect = kind(dbapi=kind.import_dbapi())  # type: ignore[call-arg]
        limited = url.get_backend_name() in ("postgresql", "mysql", "mariadb")
        limits = {"connect_timeout": _CONNECT_S} if limited else {}
        positional, named = self._dialect.create_connect_args(url)
        if reads_only and url.get_backend_name() == "postgresql":
            named = {**named, "options": f"{named.get('options', '')} -c default_transaction_read_only=on"}
        self._connect: Callable[[], Any] = lambda: self._dialect.connect(*positional, **{**limits, **named})
        self._answered = False

    def __call__(self) -> Any:
        deadline = time.monotonic() + WAIT_S
        while True:
            try:
                connection = self._connect()
            except self._dialect.loaded_dbapi.OperationalError:
                if not self._answered or time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                self._answered = True
                return connection


def _checked(uri: str) -> str:
    try:
        url = make_url(uri)
        if url.get_backend_name() in _BACKENDS and url.database:
            return uri
    except (ArgumentError, ValueError):
        pass
    forms = f"postgresql://HOST/DATABASE, another database that Optuna takes, or {OWN} for the study's own study.db"
    raise UserError(f"--storage '{without_secrets(uri)}' names no database; give {forms}")


def _bare(uri: str) -> URL:
    """Return the address as Optuna may know it: it writes its storage's address into messages."""
    url = make_url(uri)
    return url if url.get_backend_name() == "sqlite" else url.set(username=None, password=None, query={})


def _check_right(connection: sqlalchemy.Connection, test: str, *grants: str) -> None:
    """Refuse a database of PostgreSQL in which this user may not write; others are believed."""
    if connection.dialect.name != "postgresql" or connection.execute(sqlalchemy.text(f"select {test}")).scalar():
        return
    user = connection.execute(sqlalchemy.text("select quote_ident(current_user)")).scalar()
    url, rights = connection.engine.url, "; ".join(f"grant {grant.format(user=user)}" for grant in grants)
    command = f"psql -h {url.host} -p {url.port or 5432} {url.database} -c {shlex.quote(rights)}"
    raise UserError(f"Optuna's storage {shown_uri(str(url))}: {user} may not write there; its owner runs: {command}")
