from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.clips import write_video
from tsvan.data.raw.fingerprint import fingerprint
from tsvan.data.raw.prepare import prepare
from tsvan.files import hash_file
from tsvan.validation import UserError


def source_of(tmp_path: Path, people: int = 10) -> Path:
    for person in range(people):
        write_video(tmp_path / "videos" / f"p{person}_walk.avi", 20, size=(16, 16))
    return tmp_path / "videos"


def test_a_folder_becomes_a_store(tmp_path: Path):
    source = source_of(tmp_path, people=2)
    calls: list[tuple[int, int]] = []
    store = prepare("weizmann", source, tmp_path / "store", progress=lambda *call: calls.append(call))
    assert calls == [(1, 2), (2, 2)]
    assert (store.data_source, store.people, store.classes) == ("real", ("p0", "p1"), ("walk",))
    assert store.clips[0].source == "p0_walk.avi"
    assert store.clips[0].source_sha256 == hash_file(source / "p0_walk.avi")
    assert store.frames[20:40, 30, 30, 0].tolist() == list(range(0, 80, 4))


def test_a_few_bad_files_are_listed_and_skipped(tmp_path: Path):
    source = source_of(tmp_path, people=9)
    (source / "q_walk.avi").write_bytes(b"")
    (source / "README.md").write_text("about")
    (source / ".hidden.avi").write_bytes(b"")
    store = prepare("weizmann", source, tmp_path / "store")
    assert store.rejected == (("q_walk.avi", "the file is empty"),)
    assert store.left_out[0] == ("README.md", "not a video by its name")
    assert not any(file.startswith(".") for file, _ in store.rejected + store.left_out)
    assert len(store.people) == 9


@pytest.mark.parametrize(
    ("bad", "reason"),
    [("q_walk.avi", "the file is empty"), ("q_wlak.avi", "unknown class 'wlak'; did you mean 'walk'")],
)
def test_too_many_bad_files_fail_and_what_was_read_is_taken_up(tmp_path: Path, bad: str, reason: str):
    source = source_of(tmp_path, people=4)
    (source / bad).write_bytes(b"")
    with pytest.raises(UserError, match=rf"1 of 5 files cannot be used .*{bad}: {reason}.*--max-bad-share") as error:
        prepare("weizmann", source, tmp_path / "out" / "store")
    assert "\n" not in str(error.value)
    # A bad name is seen before anything is read.
    assert (tmp_path / "out").exists() == (bad == "q_walk.avi")
    assert len(prepare("weizmann", source, tmp_path / "out" / "store", max_bad_share=0.2).rejected) == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["store"]


def test_a_video_whose_parts_are_all_too_short_is_bad(tmp_path: Path):
    # 14 frames: floor(2/3 * 14) = 9 to train on, 5 held out
    source = source_of(tmp_path, people=9)
    write_video(source / "short_walk.avi", 14, size=(16, 16))
    store = prepare("weizmann", source, tmp_path / "store")
    reason = "too short: 14 frames, the longest part has 9, a window needs 10"
    assert store.rejected == (("short_walk.avi", reason),)


def test_the_first_of_two_takes_is_used(tmp_path: Path):
    for name in ("lena_run2", "lena_run1", "lena_wave1", "lena_wave2"):
        write_video(tmp_path / "videos" / f"{name}.avi", 20, size=(16, 16))
    store = prepare("weizmann", tmp_path / "videos", tmp_path / "store")
    assert store.classes == ("run", "wave1", "wave2")
    assert store.left_out[0] == ("lena_run2.avi", "a second take beside lena_run1.avi")


def test_published_npy_clips_and_videos_mix(tmp_path: Path):
    source = source_of(tmp_path, people=1)
    np.save(source / "p1_walk.npy", np.full((24, 20, 3, 30), 7, dtype=np.uint8))
    store = prepare("weizmann", source, tmp_path / "store")
    assert [clip.num_frames for clip in store.clips if clip.person == 1] == [20, 10]


def test_only_bad_files_give_one_line(real_folder, tmp_path: Path):
    for dataset in ("weizmann", "vox"):
        with pytest.raises(UserError, match=f"5 of 5 files cannot be used as {dataset}.*give a folder of whole videos"):
            prepare(dataset, real_folder("bad"), tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist; expected video files named <person>_<action>"),
        (lambda path: path.write_text(""), "is not a folder"),
        (lambda path: path.mkdir(), "no video in the data folder"),
    ],
)
def test_a_source_without_videos_is_refused(tmp_path: Path, make, message: str):
    make(tmp_path / "videos")
    with pytest.raises(UserError, match=message):
        prepare("weizmann", tmp_path / "videos", tmp_path / "store")


def test_a_store_within_its_source_is_refused(tmp_path: Path):
    source = source_of(tmp_path, people=1)
    with pytest.raises(UserError, match="would lie in its own source folder"):
        prepare("weizmann", source, source / "store")


def test_the_fingerprint_follows_names_and_contents(tmp_path: Path):
    source = source_of(tmp_path, people=2)
    first = fingerprint("weizmann", source)
    (source / "README.md").write_text("not a video")
    assert fingerprint("weizmann", source) == first
    (source / "p1_walk.avi").rename(source / "p2_walk.avi")
    renamed = fingerprint("weizmann", source)
    content = bytearray((source / "p2_walk.avi").read_bytes())
    content[-1] ^= 1
    (source / "p2_walk.avi").write_bytes(content)
    assert len({first, renamed, fingerprint("weizmann", source)}) == 3


def test_real_actions(real_folder, tmp_path: Path):
    store = prepare("weizmann", real_folder("weizmann"), tmp_path / "store")
    assert (len(store.split("train")), len(store.split("test"))) == (28, 28)
    assert store.classes == ("bend", "jack", "wave1", "wave2")
    assert len(store.people) == 7
    assert not store.rejected


def test_real_talking_faces(real_folder, tmp_path: Path):
    store = prepare("vox", real_folder("vox"), tmp_path / "store")
    # 652, 221 and 120 frames; the first one's header says 10 frames a second, its name 25
    assert [(clip.num_frames, clip.frame_step) for clip in store.split("train")] == [(503, 2), (158, 2), (77, 2)]
    assert [clip.num_frames for clip in store.split("test")] == [130, 44, 24]
