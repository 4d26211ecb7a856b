"""A local store that was moved or copied names its own folder for its files again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sweeps.state.paths import StudyPaths
from sweeps.state.uris import sqlite_uri
from sweeps.tracking.artifact_places import correct_places, outdated_places
from sweeps.tracking.client import Tracker

NAMES = ["runs", "with ? and #", "100%", "λ_x"]


@pytest.mark.parametrize("name", NAMES)
def test_files_of_a_moved_store_go_to_where_it_is(name: str, tmp_path: Path, fresh_store: Path) -> None:
    old, new = StudyPaths(tmp_path / "before_x" / "study"), StudyPaths(tmp_path / name / "study")
    old.holder.mkdir()
    shutil.copy(fresh_store, old.tracking_database)
    tracker = Tracker(sqlite_uri(old.tracking_database), "tsvan-weizmann", old.artifacts)
    tracker.open()
    run = tracker.run("key", "name", {})
    assert outdated_places(old.tracking_database, old.artifacts) == []
    old.holder.rename(new.holder)
    assert outdated_places(new.tracking_database, new.artifacts) == [old.artifacts.as_uri()]
    moved = Tracker(sqlite_uri(new.tracking_database), "tsvan-weizmann", new.artifacts)
    moved.open()
    assert outdated_places(new.tracking_database, new.artifacts) == []
    assert moved.run("key", "name", {}) == run
    (tmp_path / "a.txt").write_text("a")
    moved.artifact(run, tmp_path / "a.txt")
    assert [file.name for file in new.artifacts.rglob("*.txt")] == ["a.txt"]
    assert not old.holder.exists()


def test_a_store_elsewhere_and_places_of_other_names_stay_as_they_are(tmp_path: Path, fresh_store: Path) -> None:
    paths = StudyPaths(tmp_path / "runs" / "study")
    paths.holder.mkdir()
    shutil.copy(fresh_store, tmp_path / "shared.db")
    shutil.copy(fresh_store, paths.tracking_database)
    assert correct_places(tmp_path / "shared.db", paths.artifacts) == []
    assert correct_places(tmp_path / "absent.db", tmp_path / "mlartifacts") == []
    assert correct_places(paths.tracking_database, paths.artifacts) == []  # those of "other" lie in a folder of its own
