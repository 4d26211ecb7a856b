"""Damaged clips, and databases that another program locks."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.harness import Driver, at_work
from tests.faults.test_driver_killed import status
from tsvan.data import standin

Start = Callable[..., Driver]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip store to damage."""
    return standin.draw("weizmann", tmp_path_factory.mktemp("clips") / "store", size="small").path


WORDS = {"cut": "frames.npy is cut short", "flipped": "frames.npy has changed since it was written"}


@pytest.mark.parametrize("damage", WORDS)
def test_damaged_clips_are_refused_before_anything_begins(
    damage: str, clips: Path, tmp_path: Path, start: Start
) -> None:
    store = tmp_path / "store"
    shutil.copytree(clips, store)
    frames = bytearray((store / "frames.npy").read_bytes())
    if damage == "flipped":
        frames[len(frames) // 2] ^= 1
    (store / "frames.npy").write_bytes(frames[:-5000] if damage == "cut" else frames)
    driver = start(tmp_path / "study", "--data-root", str(store))
    assert driver.finish() == 2, driver.text
    assert driver.text.count("\n") == 1, driver.text
    assert f"the clip store {store} is damaged: {WORDS[damage]}" in driver.text
    assert not (tmp_path / "study" / "study.yaml").exists()


def test_locked_databases_are_waited_for(runs: Path, start: Start) -> None:
    """Another program holds both for some seconds, while the study is at work."""
    out = runs / "locked"
    driver = start(out, "--trials", "2")
    assert driver.wait_for(at_work(out))
    locks = [sqlite3.connect(path, isolation_level=None) for path in (out / "study.db", runs / "mlflow.db")]
    for lock in locks:
        lock.execute("PRAGMA busy_timeout = 20000")
        lock.execute("BEGIN EXCLUSIVE")
    time.sleep(8)
    assert driver.process.poll() is None, driver.text
    for lock in locks:
        lock.execute("ROLLBACK")
        lock.close()
    assert driver.finish() == 0, driver.text
    assert "not delivered" not in driver.text
    assert audit(out, 2).wrong == []
    assert status(out)["agree"] is True
