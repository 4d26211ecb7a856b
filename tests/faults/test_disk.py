"""A full disk, locked databases, folders that can't be written: a small file system of its own under a study."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.conftest import Start
from tests.faults.harness import Driver, at_work
from tests.faults.test_driver_killed import status


def full_disk(runs: Path, start: Start) -> None:
    with small_disk(runs / "disk") as disk:
        out, filler = disk / "full", disk / "filler"
        shutil.copytree(runs / "stores", disk / "stores")
        driver = start(out, "--trials", "2")
        assert driver.wait_for(lambda: next(out.glob("trials/000/checkpoints/*.pt"), None))
        fill(filler, while_runs=driver)
        assert driver.finish() not in (0, 130), driver.text
        assert "Traceback" not in driver.text
        assert "No space left on device" in driver.text
        assert "run the same command again" in driver.text
        filler.unlink()
        again = start(out, "--trials", "2")
        assert again.wait_for(at_work(out))
        lock([out / "study.db", disk / "mlflow.db"], seconds=8)
        assert again.finish() == 0, again.text
        assert "not delivered" not in again.text
        assert audit(out, 2).wrong == []
        assert status(out)["agree"] is True


@pytest.mark.plays(full_disk, seconds=70)
def test_a_full_disk_is_one_line_the_study_goes_on_when_there_is_room_and_waits_for_locked_databases(
    played: None,
) -> None:
    """All is asserted on the way."""


def test_a_folder_that_cannot_be_written_is_refused_in_a_line(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o555)
    if os.geteuid() == 0:
        mount(folder, "ro")  # root may write where modes forbid it
    try:
        driver = start(folder / "study")
        assert driver.finish() == 2, driver.text
        assert driver.text.count("\n") == 1, driver.text
        assert "choose another --out" in driver.text
        assert list(folder.iterdir()) == []
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(folder)], check=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 64 MB."""
    folder.mkdir()
    mount(folder, "size=64m")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(folder: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here ({made.stderr.strip()})")


def fill(filler: Path, while_runs: Driver) -> None:
    """Take every byte that is free or becomes free, until the driver has ended."""
    with open(filler, "wb", buffering=0) as file:
        while while_runs.process.poll() is None:
            try:
                file.write(bytes(1 << 20))
            except OSError:
                time.sleep(0.05)


def lock(databases: list[Path], seconds: float) -> None:
    """Hold them as another program would."""
    locks = [sqlite3.connect(path, isolation_level=None, timeout=20) for path in databases]
    for held in locks:
        held.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    for held in locks:
        held.close()
