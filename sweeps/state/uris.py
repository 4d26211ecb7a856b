"""Addresses of tracking stores: which are allowed, which are files, and how they are shown without their secrets."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tsvan.validation import UserError

_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
_USER = re.compile(r"://[^\s'\"]*@")
_QUERY = re.compile(r"\?[\w%.~+-]+=[^\s'\")]*")  # libraries name the path of a request without its host
_REST = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\")]*")


def default_uri(database: Path) -> str:
    """SQLite URI of a file, absolute."""
    return f"sqlite:///{database}"


def checked_uri(uri: str) -> str:
    """The URI, if it names a server or a database.

    Raises:
        UserError: anything else, as MLflow's old folders of files.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or not rest or scheme.split("+")[0] not in _SCHEMES:
        known = "http://HOST:PORT, sqlite:///FILE, or a postgresql, mysql or mssql database"
        raise UserError(f"tracking URI '{without_secrets(uri)}' names no MLflow server or database; give {known}")
    return uri


def is_local(uri: str) -> bool:
    """Whether a tracking URI is a file of this machine."""
    return uri.startswith(("sqlite:", "file:")) or "://" not in uri


def shown_uri(uri: str) -> str:
    """For people and files: relative to where the user stands, without a password or a token."""
    scheme, _, rest = uri.partition("://")
    if scheme == "sqlite":
        with suppress(ValueError):
            return f"sqlite:///{Path(rest[1:]).relative_to(Path.cwd())}"
        return uri
    return without_secrets(uri)


def without_secrets(text: str) -> str:
    """A text whose URIs have lost user, password and query: nothing else may reach a log, a file or a tag."""
    return _QUERY.sub("", _REST.sub(r"\1", _USER.sub("://", text)))
