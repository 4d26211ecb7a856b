"""Damaged clips."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.harness import Start
from tsvan.data.standin import drawing


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip store to damage."""
    return drawing.draw("weizmann", tmp_path_factory.mktemp("clips") / "store", size="small").path


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
