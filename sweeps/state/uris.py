"""Addresses of databases and servers: built and read with SQLAlchemy, and shown without their secrets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tsvan.validation import UserError

_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
_FORMS = "http://HOST:PORT, sqlite:///FILE, or a postgresql, mysql or mssql database"
_ADDRESS_WITH_USER = re.compile(r"://[^\s'\"@]*@|://[^\s:@/]*:[^@\n]*@")  # a password may hold spaces and quotes
_ADDRESS_WITH_QUERY = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\")]*")
_QUERY = re.compile(r"\?[\w%.~+-]+=[^\s'\")]*")  # libraries name the path of a request without its host


def sqlite_uri(file: Path) -> str:
    """Return the address of a SQLite file, whatever its folders are called."""
    plain = URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
    if plain == f"sqlite:///{file}":
        return plain
    # With the driver's name in it MLflow does not take the quoted path for that of a folder, and make one.
    return URL.create("sqlite+pysqlite", database=str(file)).render_as_string(hide_password=False)


def read_only_uri(file: Path) -> str:
    """Return an address of a SQLite file through which nothing can be written, and no file is made."""
    url = URL.create("sqlite", database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})
    return url.render_as_string(hide_password=False)


def database_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None: the address is that of a server or of another database."""
    url = _parsed(uri)
    if url is None or url.get_backend_name() != "sqlite" or not url.database:
        return None
    if url.query.get("uri") == "true" and url.database.startswith("file:"):
        return Path(unquote(urlsplit(url.database).path))
    return Path(url.database)


def is_local(uri: str) -> bool:
    """Tell whether an address is a file of this machine."""
    return database_file(uri) is not None or "://" not in uri


def checked_uri(uri: str) -> str:
    """Return the address, if it names a server or a database.

    Raises:
        UserError: it names anything else, as MLflow's old folders of files.
    """
    url = _parsed(uri)
    backend = "" if url is None else url.get_backend_name()
    named = url is not None and (url.database if backend == "sqlite" else url.host or url.database or url.query)
    if not named or backend not in _SCHEMES:
        raise UserError(f"tracking URI '{without_secrets(uri)}' names no MLflow server or database; give {_FORMS}")
    return uri


def shown_uri(uri: str) -> str:
    """Return an address for people and files: relative to where they stand, without user, password and query."""
    file, url = database_file(uri), _parsed(uri)
    if file is not None:
        with suppress(ValueError):
            file = file.resolve().relative_to(Path.cwd())
        return sqlite_uri(file)
    if url is None:
        return without_secrets(uri)
    bare = URL.create(url.drivername, host=url.host, port=url.port, database=url.database).render_as_string()
    scheme, _, rest = bare.partition("://")
    place = rest.rpartition("@")[2]  # the end of a password with an unquoted @ in it is taken for the host
    return f"{scheme}://{place.partition('#')[0]}"


def recorded_uri(uri: str) -> str:
    """Return an address for a study's record, which is read from anywhere: a file absolute, no secrets."""
    file = database_file(uri)
    return shown_uri(uri) if file is None else sqlite_uri(file.absolute())


def with_secrets(uri: str, held: str) -> str:
    """Return `held` in place of an address that is the same without its user, password and query.

    Args:
        held: an address out of the environment, where nobody else sees a password.
    """
    asked, known = _parsed(uri), _parsed(held)
    if asked is None or known is None or has_secrets(uri) or _place(uri) != _place(held):
        return uri
    return held if asked.username in (None, known.username) else uri


def has_secrets(uri: str) -> bool:
    """Tell whether an address holds a password, or a query, which may hold one."""
    return any(_secrets(uri))


def shown_command(arguments: Sequence[str]) -> str:
    """Return a command line to paste into a shell, its addresses without their secrets."""
    return shlex.join(_shown_argument(argument) for argument in arguments)


def without_secrets(text: str, *uris: str) -> str:
    """Return a text whose addresses have lost user, password and query: no log, file or tag may hold them.

    Args:
        uris: addresses that are in use: their secrets are cut out wherever they stand, also beside no address.
    """
    for uri in uris:
        text = text.replace(uri, shown_uri(uri))
        for secret in _secrets(uri):
            text = text.replace(secret, "***")
    text = _ADDRESS_WITH_USER.sub("://", text)
    return _QUERY.sub("", _ADDRESS_WITH_QUERY.sub(r"\1", text))


def _parsed(uri: str) -> URL | None:
    try:
        return make_url(uri)
    except (ArgumentError, ValueError):
        return None


def _place(uri: str) -> str:
    """Return what two addresses of one database have in common, whatever the driver."""
    scheme, colon, rest = shown_uri(uri).partition("://")
    return f"{scheme.partition('+')[0]}{colon}{rest.rstrip('/')}"


def _secrets(uri: str) -> Iterator[str]:
    """Yield a password and a query as they are written, and as they are meant."""
    url = _parsed(uri)
    if url is None or url.get_backend_name() == "sqlite":
        return
    values = [str(url.password or "")]
    for value in url.query.values():
        values += [value] if isinstance(value, str) else value
    for value in values:
        if len(value) > 2:  # shorter ones would cut up the words of the text
            yield from (value, quote(value, safe=""), quote(value))


def _shown_argument(argument: str) -> str:
    """Return an argument to show: it may be an address, or an option with one, `--tracking-uri=http://...`."""
    option, equals, value = argument.partition("=") if argument.startswith("--") else ("", "", argument)
    return f"{option}{equals}{shown_uri(value) if '://' in value else value}"
