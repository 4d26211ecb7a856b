"""A study whose folder was moved, damaged and copied: it goes on whole, and a copy gets runs of its own."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.ledger import audit
from tests.faults.harness import Start, status

DAMAGED = {
    "trials/000/outcome.json": b"",
    "trials/001/outcome.json": b'{"state": "comp',
    "trials/000/job.json": b"[]",
    "trials/001/tracking.json": b"\0\0\0\0",
    "trials/001/seconds": b"soon",
    "tracking.json": b"",
    "stages/scorer.json": b'{"folder": 3}',
    "stages/now.json": b"{",
    "stages/final.json": b"",
    "figures/pictures.json": b"",
    "summary.json": b"",
}


@dataclass(frozen=True)
class Moved:
    """What became of it.

    Args:
        old: where its folder was.
        out, copy: where the study and its copy are.
        before: `status` of the moved and damaged study.
        again: what the same command said.
        copied: `status` of the copy before it went on.
        said: what the copy's driver said.
        codes: exit codes of the drivers.
        wrong: found by the audits of both.
        places: folders that MLflow's store names.
        agree: as `status` says of both.
    """

    old: Path
    out: Path
    copy: Path
    before: dict[str, Any]
    again: str
    copied: dict[str, Any]
    said: str
    codes: list[int]
    wrong: list[str]
    places: list[str]
    agree: list[bool]


def moved(runs: Path, start: Start) -> Moved:
    """Two trials; the folder moves, files are damaged, one trial more; a copy goes on, and the original beside it."""
    old, new = runs / "before", runs / "moved"
    shutil.copytree(runs / "stores", old / "stores")
    first = start(old / "study", "--trials", "2")
    codes = [first.finish()]
    assert codes == [0], first.text
    old.rename(new)
    out, copy = new / "study", new / "copy"
    for file, data in DAMAGED.items():
        assert (out / file).exists(), file
        (out / file).write_bytes(data)
    before = status(out)
    again = start(out, "--trials", "3")
    codes.append(again.finish())
    shutil.copytree(out, copy)
    copied = status(copy)
    drivers = [start(folder, "--trials", "3") for folder in (copy, out)]  # nothing is to train: MLflow is told of it
    codes += [driver.finish() for driver in drivers]
    with sqlite3.connect(new / "mlflow.db") as store:
        places = [place for (place,) in store.execute("SELECT artifact_uri FROM runs")]
    wrong = [*audit(out, 3).wrong, *audit(copy, 3).wrong]
    agree = [status(folder)["agree"] for folder in (out, copy)]
    return Moved(old, out, copy, before, again.text, copied, drivers[0].text, codes, wrong, places, agree)


pytestmark = pytest.mark.plays(scene=moved)


def test_a_moved_and_damaged_study_goes_on_whole(played: Moved) -> None:
    assert played.codes == [0, 0, 0, 0], (played.again, played.said)
    assert "Traceback" not in played.again
    assert "trial 0: its end is written down again" in played.again
    assert played.wrong == []
    assert played.agree == [True, True]


def test_status_tells_of_every_damaged_file_and_of_the_move(played: Moved) -> None:
    told = "\n".join(played.before["damaged"])
    for file in set(DAMAGED) - {"summary.json"}:  # which is the report's, and written anew at every end
        assert file in told
    assert "MLflow's store names file://" in told
    assert not played.before["agree"]


def test_nothing_is_written_to_where_it_was(played: Moved) -> None:
    assert not played.old.exists()
    assert played.places
    assert all(place.startswith((played.out.parent / "mlartifacts").as_uri()) for place in played.places)


def test_a_copy_is_noticed_and_gets_runs_of_its_own(played: Moved) -> None:
    assert f"this is a copy of {played.out}" in played.copied["mlflow_problem"]
    assert f"this folder is a copy of the study in {played.out}" in played.said
    ids = {yaml.safe_load((folder / "study.yaml").read_text())["study_id"] for folder in (played.out, played.copy)}
    assert len(ids) == 2
