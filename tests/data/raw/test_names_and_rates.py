"""VoxCeleb as the usual preparation tool writes it, and what lies beside videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.clips import write_video
from tests.data.films import film, moving_disc
from tsvan.data.config import PrepareConfig
from tsvan.data.raw.filenames import Identity
from tsvan.data.raw.inspection import describe, inspect
from tsvan.data.raw.prepare import prepare
from tsvan.data.raw.rates import believed_rate
from tsvan.data.store import ClipStore

TALKERS = (("id1", "aaa"), ("id1", "bbb"), ("id2", "ccc"))


def steps(store: ClipStore) -> set[int]:
    return {clip.frame_step for clip in store.clips}


def test_folders_named_as_videos_are_clips(tmp_path: Path):
    for speaker, video in TALKERS:
        folder = tmp_path / "vox" / "train" / f"{speaker}#{video}#000001#000061.mp4"
        folder.mkdir(parents=True)
        for number, picture in enumerate(moving_disc(144)):  # the span lasts 2.4 s, so 60 frames a second
            Image.fromarray(picture).save(folder / f"{number:07d}.png")
    store = prepare("vox", tmp_path / "vox", tmp_path / "store", workers=0)
    assert (store.people, store.layout) == (("id1", "id2"), "3 folders of pictures")
    assert {clip.source.rpartition("/")[2] for clip in store.split("test")} == {
        "id1#bbb#000001#000061.mp4",
        "id2#ccc#000001#000061.mp4",
    }
    assert {clip.frame_step for clip in store.split("train")} == {5}
    assert store.centring == "3 left alone"


def test_utterances_are_clips_and_their_headers_rate_is_not_believed(tmp_path: Path):
    for speaker, video in TALKERS:
        film(tmp_path / "vox" / f"{speaker}#{video}#00001.txt#000.mp4", moving_disc(100), rate=10)
    found = inspect(tmp_path / "vox")
    assert found.rules.name == "vox"
    assert "3 clips: the header says 10 frames a second, as the tool writes into every file: not believed" in describe(
        found
    )
    store = prepare("vox", tmp_path / "vox", tmp_path / "store", workers=0)
    assert (store.people, steps(store)) == (("id1", "id2"), {2})


def test_the_name_is_believed_before_the_header(tmp_path: Path):
    for speaker, video in TALKERS:
        film(tmp_path / "vox" / f"{speaker}#{video}#000001#000121.mp4", moving_disc(120), rate=10)
    assert "3 clips: the header says 10 frames a second, the name 25: the name is believed" in describe(
        inspect(tmp_path / "vox")
    )
    assert steps(prepare("vox", tmp_path / "vox", tmp_path / "store", workers=0)) == {2}


def test_rates_by_hand():
    named = Identity("a", "talk", "v", 1, seconds=4.0)
    assert believed_rate(29.97, 120, named, None) == (29.97, "")  # 30 by the name: the same
    assert believed_rate(None, 100, named, None) == (25.0, "")
    assert believed_rate(10.0, 100, named, None)[0] == 25.0
    assert believed_rate(24.0, 4000, named, None) == (24.0, "")  # 1,000 a second: the name counts in something else
    assert believed_rate(10.0, 100, Identity("a", "talk"), None) == (10.0, "")


def test_what_lies_beside_videos_is_passed_over(tmp_path: Path):
    beside = (
        *("p1_bend.ass", "p1_bend.en.vtt", "p1_bend.srt", "p1_bend.avi.part", "p1_bend.json", "p1_bend.rar"),
        *("Thumbs.db", "desktop.ini", ".DS_Store", "p1_bend.mp4.crdownload", "p1_bend.wav", "p1_bend.nfo", "LICENSE"),
    )
    source = tmp_path / "videos"
    write_video(source / "p1_bend.avi", 60, size=(64, 64))
    write_video(source / "p2_bend.avi", 60, size=(64, 64))
    for name in beside:
        (source / name).write_bytes(b"not a video")
    store = prepare("weizmann", source, tmp_path / "store", workers=0)
    assert {clip.source for clip in store.clips} == {"p1_bend.avi", "p2_bend.avi"}
    assert store.rejected == ()
    assert {reason for _, reason in store.left_out} == {"not a video by its name"}


def test_many_files_that_lie_beside_are_told_in_a_line(tmp_path: Path):
    for number in range(30):
        write_video(tmp_path / "a" / f"{number}.avi", 12, size=(64, 64)) if number < 3 else None
        (tmp_path / "a" / f"{number}.json").write_text("{}")
    found = inspect(tmp_path)
    assert ("30 files *.json", "not a video by its name") in found.left_out


def test_of_doubles_the_first_that_can_be_read_is_used(tmp_path: Path):
    source = tmp_path / "videos"
    whole = write_video(source / "p1_bend.mkv", 60, size=(64, 64))
    (source / "p1_bend.avi").write_bytes(b"RIFF but cut off")
    write_video(source / "p2_run1.avi", 60, size=(64, 64))
    write_video(source / "p2_run2.avi", 60, size=(64, 64))
    for other in range(10):
        (source / f"q{other}_walk.mkv").write_bytes(whole.read_bytes())
    store = prepare("weizmann", source, tmp_path / "store", workers=0)
    assert {clip.source for clip in store.clips} >= {"p1_bend.mkv", "p2_run1.avi"}
    assert [file for file, _ in store.rejected] == ["p1_bend.avi"]
    assert ("p2_run2.avi", "a second take beside p2_run1.avi") in store.left_out


def test_one_clip_in_two_containers_is_there_once(tmp_path: Path):
    for name in ("talk.avi", "talk.mkv", "other.mkv"):
        write_video(tmp_path / "vox" / "ann" / name, 60, size=(64, 64))
    store = prepare("vox", tmp_path / "vox", tmp_path / "store", config=PrepareConfig(centring="none"))
    assert {clip.source for clip in store.clips} == {"ann/other.mkv", "ann/talk.avi"}
    assert ("ann/talk.mkv", "the same clip as ann/talk.avi") in store.left_out
    assert np.unique([clip.start for clip in store.clips]).size == len(store.clips)
