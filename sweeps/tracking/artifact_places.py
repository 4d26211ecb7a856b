"""Where a local store keeps its files. MLflow writes down whole paths, which moving or copying the folder outdates."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_WAIT_S = 30.0
_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def outdated_places(database: Path, artifacts: Path) -> list[str]:
    """Return the folders that the store beside `artifacts` names in its place, as addresses; nothing is written.

    Args:
        database: MLflow's SQLite file. One that lies elsewhere than beside `artifacts` is none of this folder's.
        artifacts: where the files of that store lie.

    Raises:
        sqlite3.Error: it is no database of MLflow, or locked.
    """
    if database.resolve().parent != artifacts.resolve().parent or not database.is_file():
        return []
    with closing(sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True, timeout=_WAIT_S)) as store:
        rows = store.execute("SELECT DISTINCT artifact_location FROM experiments").fetchall()
    ours = artifacts.resolve().as_uri()
    return [place for (place,) in rows if place and place.endswith(f"/{artifacts.name}") and place != ours]


def correct_places(database: Path, artifacts: Path) -> list[str]:
    """Let a store that was moved or copied name its own folder again.

    Returns:
        The folders that it named before.

    Raises:
        sqlite3.Error: as above.
    """
    old = outdated_places(database, artifacts)
    if not old:
        return []
    new = artifacts.resolve().as_uri()
    with closing(sqlite3.connect(database, timeout=_WAIT_S)) as store, store:
        for table, column in _COLUMNS:
            known = {row[1] for row in store.execute(f"PRAGMA table_info({table})")}
            for place in old if column in known else ():
                where = f"{column} = ? OR substr({column}, 1, ?) = ?"
                values = (new, len(place) + 1, place, len(place) + 1, f"{place}/")
                store.execute(f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE {where}", values)
    return old
