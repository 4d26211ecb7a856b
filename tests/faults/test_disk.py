"""A full disk, locked databases, a folder that can't be written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.faults.disk import mount
from tests.faults.harness import Start
from tests.faults.scenes import Stopped, stopped


@pytest.mark.plays(scene=stopped)
def test_a_full_disk_is_one_line_and_the_study_goes_on_when_there_is_room(played: Stopped) -> None:
    if played.full is None:
        pytest.skip("no file system can be mounted here")
    assert played.full.code == 2, played.full.text
    assert "Traceback" not in played.full.text
    assert "No space left on device" in played.full.text
    assert "run the same command again" in played.full.text
    assert played.last.code == 0, played.last.text
    assert played.wrong == []
    assert played.agree


@pytest.mark.plays(scene=stopped)
def test_locked_databases_are_waited_for(played: Stopped) -> None:
    assert played.last.code == 0, played.last.text
    assert "not delivered" not in played.last.text
    assert played.wrong == []
    assert played.agree


def test_a_folder_that_cannot_be_written_is_refused_in_a_line(tmp_path: Path, start: Start) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o555)
    root = os.geteuid() == 0
    if root and (reason := mount(folder, "ro")):  # root may write where modes forbid it
        pytest.skip(f"no file system can be mounted here ({reason})")
    try:
        driver = start(folder / "study")
        assert driver.finish() == 2, driver.text
        assert driver.text.count("\n") == 1, driver.text
        assert "choose another --out" in driver.text
        assert list(folder.iterdir()) == []
    finally:
        if root:
            subprocess.run(["umount", str(folder)], check=True)
