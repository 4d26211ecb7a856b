"""A PostgreSQL server of the tests' own, on loopback; skipped, with the reason, where its programs are missing."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

OWNER, PASSWORD = "owner", "owner's/pass:word@1"


class Postgres:
    """A server that passwords guard.

    Args:
        folder: of its own, which its user may enter.
        programs: folder of `initdb` and `pg_ctl`.
    """

    def __init__(self, folder: Path, programs: Path) -> None:
        self._folder, self._programs = folder, programs
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        secret = folder / "password"
        secret.write_text(PASSWORD)
        self._own(folder, secret)
        locked = ["--auth=scram-sha-256", f"--pwfile={secret}", f"--username={OWNER}"]
        self._run("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", *locked, "-D", str(folder / "data"))

    def start(self) -> None:
        """Returns when it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -c fsync=off"
        log = ["-l", str(self._folder / "log.txt")]
        self._run("pg_ctl", "start", "-w", "-t", "120", "-D", str(self._folder / "data"), *log, "-o", options)

    def stop(self) -> None:
        """At once, as a crash would."""
        self._run("pg_ctl", "stop", "-m", "immediate", "-D", str(self._folder / "data"))

    def uri(self, database: str, user: str = OWNER, password: str = PASSWORD) -> str:
        """The address of a database, as a user types it."""
        from sqlalchemy.engine import URL

        url = URL.create("postgresql", user, password, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def shown(self, database: str) -> str:
        """That address without its secrets."""
        return f"postgresql://127.0.0.1:{self.port}/{database}"

    def sql(self, text: str, database: str = "postgres") -> list[Any]:
        """Rows of a statement of the owner's."""
        import psycopg

        where = {"host": "127.0.0.1", "port": self.port, "dbname": database}
        with psycopg.connect(user=OWNER, password=PASSWORD, autocommit=True, **where) as connection:  # type: ignore
            found = connection.execute(text)  # type: ignore[call-overload]
            return found.fetchall() if found.description else []

    def _run(self, program: str, *arguments: str) -> None:
        # A file takes its words: a pipe would stay open as long as the server that it starts.
        with open(self._folder / "programs.txt", "ab") as log:
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(command, stdout=log, stderr=log, cwd=self._folder, **_other_user())
        assert done.returncode == 0, (self._folder / "programs.txt").read_text()

    def _own(self, *places: Path) -> None:
        user = _other_user().get("user")
        for place in places if user else ():
            shutil.chown(place, user)


@contextmanager
def serving_postgres() -> Iterator[Postgres]:
    """A server for the block."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is missing; pip install 'psycopg[binary]'")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb is missing; apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="tsvan-pg-") as folder:
        server = Postgres(Path(folder), programs)
        server.start()
        try:
            yield server
        finally:
            if (Path(folder) / "data" / "postmaster.pid").exists():
                server.stop()


def _programs() -> Path | None:
    found = shutil.which("initdb")
    # As Debian's package lays them.
    places = [Path(found)] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].resolve().parent if places else None


def _other_user() -> dict[str, Any]:
    """For root, the user in whose name the server runs: it refuses root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = "postgres" if "postgres" in names else "nobody"
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
