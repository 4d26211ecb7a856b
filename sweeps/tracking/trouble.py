"""Why MLflow did not take something: in a line with the remedy, and whether that passes by itself."""

from __future__ import annotations

import re
import shlex
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.state.drivers import missing_driver
from sweeps.state.uris import shown_uri, without_secrets
from tsvan.validation import UserError, first_line

_PASSING_CODES = {
    "TEMPORARILY_UNAVAILABLE",
    "REQUEST_LIMIT_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "CANCELLED",
}
_REMEDIES = {
    "UNAUTHENTICATED": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "CUSTOMER_UNAUTHORIZED": "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    "PERMISSION_DENIED": "give an experiment of your own with --experiment NAME and a model with --model-name NAME, "
    "or ask its owner for the right to edit",
    "ENDPOINT_NOT_FOUND": "give the address of an MLflow server with --tracking-uri",
}
_DATABASE_PASSES = (
    "locked",
    "refused",
    "timed out",
    "timeout",
    "could not connect",
    "can't connect",
    "lost connection",
    "closed the connection",
    "too many",
    "starting up",
    "shutting down",
    "temporary failure in name resolution",
)
"""Of a database's own words, in lower case."""
_SCHEMA = re.compile(r"(?:found version |revision identified by ')(\w+)")
_STATUS = re.compile(r"failed with error code (\d+)")


@dataclass(frozen=True)
class Trouble:
    """What keeps MLflow from taking something.

    Args:
        text: one line without secrets.
        passes: it goes away by itself, as a server that is away: tried again, the same succeeds one day.
    """

    text: str
    passes: bool


def trouble(error: BaseException, uri: str) -> Trouble:
    """Judge an error of MLflow, of its database or of the network.

    Args:
        uri: of the store; its secrets are cut out of the line.
    """
    causes = list(_causes(error))
    for judge in (_of_libraries, _of_mlflow, _of_files):
        for cause in causes:
            found = judge(cause, uri)
            if found is not None:
                return Trouble(without_secrets(found.text, uri), found.passes)
    return Trouble(without_secrets(first_line(error), uri), passes=False)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error was made of, the first cause first: MLflow wraps the errors of its libraries."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or link.__context__
    yield from (found for found in reversed(chain) if not isinstance(found, (KeyError, AttributeError)))


def _of_libraries(error: BaseException, uri: str) -> Trouble | None:
    """Judge an error of the network, of a database, or of our own."""
    import requests
    import sqlalchemy.exc

    if isinstance(error, UserError):
        return Trouble(str(error), passes=False)
    if isinstance(error, ModuleNotFoundError):
        return Trouble(missing_driver(str(error.name)), passes=False)
    if isinstance(error, sqlalchemy.exc.NoSuchModuleError):
        return Trouble(f"{first_line(error)}; give another database with --tracking-uri", passes=False)
    if isinstance(error, requests.RequestException):
        return _network(error, uri)
    if isinstance(error, (sqlalchemy.exc.DBAPIError, sqlite3.Error)):
        line = first_line(getattr(error, "orig", None) or error)
        return Trouble(line, any(words in line.lower() for words in _DATABASE_PASSES))
    return None


def _network(error: Any, uri: str) -> Trouble:
    import requests

    answer = error.response
    if answer is not None:  # of an artifact; other answers become errors of MLflow
        return Trouble(f"{shown_uri(uri)} answered {answer.status_code} {answer.reason}", answer.status_code >= 500)
    if isinstance(error, requests.exceptions.SSLError):
        return Trouble(f"no secure connection to {shown_uri(uri)}: {_last_words(error)}", passes=False)
    if isinstance(error, requests.Timeout):
        return Trouble(f"{shown_uri(uri)} does not answer in time", passes=True)
    if isinstance(error, (requests.ConnectionError, requests.exceptions.RetryError)):
        return Trouble(f"{shown_uri(uri)} does not answer ({_last_words(error)})", passes=True)
    return Trouble(first_line(error), passes=False)


def _last_words(error: BaseException) -> str:
    """Return the last words of an error.

    `Connection refused` of `HTTPConnectionPool(...): Max retries exceeded with url: ... Connection refused'))`.
    """
    return first_line(error).rpartition(":")[2].rpartition("]")[2].strip(" ()'\"") or type(error).__name__


def _of_mlflow(error: BaseException, uri: str) -> Trouble | None:
    from mlflow.exceptions import MlflowException, RestException

    if not isinstance(error, MlflowException):
        return None
    code, line = str(error.error_code), first_line(error)
    if found := _SCHEMA.search(line):
        return Trouble(_of_another_version(found[1], uri), passes=False)
    if found := _STATUS.search(line):
        line = f"{shown_uri(uri)} answered {found[1]}"
    remedy = f"; {_REMEDIES[code]}" if code in _REMEDIES else ""
    of_server = isinstance(error, RestException)
    return Trouble(f"{line}{remedy}", code in _PASSING_CODES or (of_server and code == "INTERNAL_ERROR"))


def _of_another_version(revision: str, uri: str) -> str:
    """Say that a store has other tables than this MLflow's: earlier ones if it knows the revision, else later ones."""
    import mlflow

    migrations = Path(mlflow.__file__).parent / "store" / "db_migrations" / "versions"
    if any(migrations.glob(f"{revision}_*.py")):
        return (
            f"the store is of an earlier version of MLflow than {mlflow.__version__}; "
            f"copy it away and run 'mlflow db upgrade {shlex.quote(shown_uri(uri))}'"
        )
    return (
        f"the store is of a later version of MLflow than {mlflow.__version__} (revision {revision}); "
        "install that, or give another store with --tracking-uri"
    )


def _of_files(error: BaseException, uri: str) -> Trouble | None:
    if not isinstance(error, OSError):
        return None
    where = f"{error.filename}: " if error.filename else ""
    text = f"{where}{error.strerror or first_line(error)}"
    return Trouble(text, isinstance(error, (ConnectionError, TimeoutError)))
