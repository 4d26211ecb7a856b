from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sweeps.commands.request import Request, resolve
from sweeps.data import DataPlan, clips_line, clips_summary, found_classes, locate, open_store
from sweeps.state.paths import StudyPaths
from tests.data.clips import write_store, write_video
from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import rules
from tsvan.data.raw.prepare import prepare
from tsvan.data.store import INDEX
from tsvan.validation import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_other_clips_for_a_study_that_goes_on_are_refused_before_they_are_made(tmp_path: Path) -> None:
    began = tmp_path / "began"
    began.mkdir()
    (began / INDEX).touch()
    plan = DataPlan("synthetic", None, tmp_path / "stores" / "other")
    with pytest.raises(UserError, match="began with the clips in"):
        open_store(rules("mug"), plan, StudyPaths(tmp_path / "study"), began)
    assert [path.name for path in tmp_path.iterdir()] == ["began"]


def test_raw_videos_become_a_store_named_after_their_contents_once(tmp_path: Path) -> None:
    for number in range(2):
        write_video(tmp_path / "videos" / f"p{number}_walk.avi", 30, size=(32, 32))
    paths = StudyPaths(tmp_path / "runs" / "study")
    plan = locate(rules("weizmann"), "smoke", tmp_path / "videos", False, paths)
    store = open_store(rules("weizmann"), plan, paths, None)
    calls: list[tuple[int, int]] = []
    again = open_store(rules("weizmann"), plan, paths, None, progress=lambda *call: calls.append(call))
    assert (again.path, calls) == (store.path, [])
    assert [path.name for path in store.path.parent.iterdir()] == [store.path.name]


def test_the_report_says_what_the_clips_are_and_whose_split_they_have(tmp_path: Path) -> None:
    drawn = write_store("weizmann", tmp_path / "drawn", {"a_walk.avi": 60})
    assert clips_line(clips_summary(drawn)).startswith(
        "Clips: drawn stand-in clips; the supplement's split, 1 to train on, 1 held out; 0 files could not be used"
    )
    (tmp_path / "mug").mkdir()
    for take in range(4):
        for part in range(4):
            np.save(tmp_path / "mug" / f"1_fear_{take}_{part}.npy", np.zeros((12, 71, 71, 3), dtype=np.uint8))
    store = prepare("mug", tmp_path / "mug", tmp_path / "store", config=PrepareConfig(split="release"))
    line = clips_line(clips_summary(store))
    assert "16 published .npy clips; centring: 16 left alone; the release's split, 12 to train on, 4 held out" in line
    assert line.endswith("**Parts of one take are on both sides of this split.**")


def test_classes_that_are_left_to_be_found_are_found(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nlayouts: ['<class>/**/<clip>']\n")
    for name in ("spin/1", "jump/1", "jump/2"):
        write_video(tmp_path / "videos" / f"{name}.avi", 40, size=(64, 64))
    dataset = rules(str(file))
    assert found_classes(dataset, tmp_path / "videos") == ("jump", "spin")
    store = prepare(dataset, tmp_path / "videos", tmp_path / "store", workers=0)
    assert store.classes == found_classes(dataset, tmp_path / "store") == ("jump", "spin")
    request = Request(dataset, "smoke", data_root=tmp_path / "videos", out=tmp_path / "study", dry_run=True)
    assert resolve(request).config.rules.classes == ("jump", "spin")


BUILD = """
import fcntl, os, sys
from pathlib import Path
if sys.argv[2] == "none":
    def no_locks(*_):
        raise OSError(38, "none")
    fcntl.flock = no_locks
from sweeps.data import locate, open_store
from sweeps.state.paths import StudyPaths
from tsvan.data.datasets import rules
paths = StudyPaths(Path(sys.argv[1]) / "runs" / sys.argv[3])
plan = locate(rules("weizmann"), "smoke", None, True, paths)
print("ready", flush=True)
sys.stdin.readline()
print(open_store(rules("weizmann"), plan, paths, None).content_hash, flush=True)
"""


@pytest.mark.parametrize("locks", ["locks", "none"])
def test_three_drivers_of_one_second_use_what_the_quickest_made(locks: str, tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", BUILD, str(tmp_path), locks, name] for name in "abc"]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) for command in commands]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    said = []
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        said.append(process.communicate()[0])
        assert process.returncode == 0
    assert len(set(said)) == 1
    assert [path.name for path in (tmp_path / "runs" / "stores").iterdir()] == ["weizmann-standin-small"]
