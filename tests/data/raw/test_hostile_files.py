"""Files that nobody means well with cost a line each."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.clips import write_video
from tests.data.films import film, moving_disc
from tsvan.data.raw import limits
from tsvan.data.raw.fingerprint import fingerprint
from tsvan.data.raw.footage import open_footage
from tsvan.data.raw.inspection import inspect
from tsvan.data.raw.limits import UnreadableError
from tsvan.data.raw.listing import LINK
from tsvan.data.raw.prepare import prepare
from tsvan.validation import UserError


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Ten clips of Weizmann's names."""
    first = write_video(tmp_path / "videos" / "p0_walk.avi", 40, size=(64, 64))
    for number in range(1, 10):
        (first.parent / f"p{number}_walk.avi").write_bytes(first.read_bytes())
    return first.parent


def test_only_regular_files_are_opened(videos: Path, tmp_path: Path):
    os.mkfifo(videos / "q0_walk.avi")
    (videos / "q1_walk.avi").symlink_to("/dev/zero")
    (videos / "q2_walk.avi").mkdir()
    (videos / "q3_walk.avi").symlink_to(videos / "p0_walk.avi")  # a link to a file is as good as the file
    os.mkfifo(videos / "classification_masks.mat")
    started = time.monotonic()
    store = prepare("weizmann", videos, tmp_path / "store", workers=0)
    assert fingerprint("weizmann", videos)
    assert time.monotonic() - started < 60
    assert len({clip.source for clip in store.clips}) == 11
    assert ("q0_walk.avi", "a FIFO, not a regular file") in store.left_out
    assert ("q1_walk.avi", "a device, not a regular file") in store.left_out


def test_a_file_that_turns_into_a_fifo_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.avi")
    with pytest.raises(UnreadableError, match="a FIFO"):
        open_footage(tmp_path, "a.avi", "THWC")


def test_a_link_to_nothing_is_a_file_that_cannot_be_used(videos: Path, tmp_path: Path):
    (videos / "q_walk.avi").symlink_to(tmp_path / "gone.avi")
    store = prepare("weizmann", videos, tmp_path / "store", workers=0)
    assert store.rejected == (("q_walk.avi", "cannot be opened: No such file or directory"),)
    assert fingerprint("weizmann", videos)


def test_links_to_folders_are_followed_on_request(videos: Path, tmp_path: Path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "elsewhere").symlink_to(videos)
    with pytest.raises(
        UserError, match=r"no video in the data folder .*elsewhere is a link to a folder.*--follow-links"
    ):
        prepare("weizmann", source, tmp_path / "store")
    write_video(source / "p9_bend.avi", 40, size=(64, 64))
    assert ("elsewhere", LINK) in inspect(source).left_out
    store = prepare("weizmann", source, tmp_path / "store", follow_links=True)
    assert len({clip.source for clip in store.clips}) == 11


@pytest.mark.parametrize(
    ("name", "shown", "reason"),
    [
        (b"q\xff_walk.avi", "q\\udcff_walk.avi", "its name is not UTF-8; rename it"),
        (b"q\n_walk.avi", "q\\n_walk.avi", "its name has control characters or line breaks; rename it"),
        (b"q\x1b[2J_walk.avi", "q\\x1b[2J_walk.avi", "its name has control characters or line breaks; rename it"),
    ],
)
def test_names_that_no_line_can_hold(videos: Path, tmp_path: Path, name: bytes, shown: str, reason: str):
    (videos / os.fsdecode(name)).write_bytes((videos / "p0_walk.avi").read_bytes())
    store = prepare("weizmann", videos, tmp_path / "store", workers=0)
    assert store.rejected == ((shown, reason),)
    assert fingerprint("weizmann", videos)


def test_odd_names_that_are_text_are_clips(tmp_path: Path):
    for name in ("Zoë’s clip 1", "клип", "動画", "a'b\"c $(x) %d", "screen\u202fshot", "-rf", "http:x", "concat:a|b"):
        write_video(tmp_path / "videos" / "spin" / f"{name}.avi", 12, size=(64, 64))
    found = inspect(tmp_path / "videos")
    assert (found.rejected, len(found.readings)) == ((), 8)


def test_a_zips_member_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p1_walk.avi", bytes(3 << 20))
    monkeypatch.setattr("tsvan.data.raw.footage.MAX_MEMBER_BYTES", 2 << 20)
    with pytest.raises(UnreadableError, match=r"3\.0 MiB in a zip; at most 2\.0 MiB are read from one: unpack it"):
        open_footage(tmp_path, "a.zip/p1_walk.avi", "THWC", archive="a.zip")


def test_too_many_members_are_refused(videos: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tsvan.data.raw.listing.MAX_MEMBERS", 2)
    with zipfile.ZipFile(videos / "a.zip", "w") as archive:
        for number in range(3):
            archive.writestr(f"z{number}_walk.avi", b"")
    assert ("a.zip", "3 files in it; at most 2 are read") in inspect(videos).rejected


def test_huge_frames_are_refused_before_they_are_made(tmp_path: Path):
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "1.png")
    png = (tmp_path / "1.png").read_bytes()
    header = struct.pack(">II", 30_000, 30_000)
    (tmp_path / "1.png").write_bytes(png[:16] + header + png[24:])
    with pytest.raises(UnreadableError, match=r"1\.png: (its frames claim to be 30,000 x 30,000|not a picture)"):
        open_footage(tmp_path, ".", "THWC", pictures=("1.png",))
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        array, {"descr": "|u1", "fortran_order": False, "shape": (12, 30_000, 30_000, 3)}
    )
    (tmp_path / "a.npy").write_bytes(array.getvalue() + bytes(100))
    with pytest.raises(UnreadableError, match=r"not a \.npy array of numbers, or cut off"):
        open_footage(tmp_path, "a.npy", "THWC")


def test_too_many_frames_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    film(tmp_path / "a.mp4", moving_disc(40))
    write_video(tmp_path / "b.avi", 40)
    np.save(tmp_path / "c.npy", np.zeros((40, 16, 16, 3), dtype=np.uint8))
    monkeypatch.setattr(limits, "MAX_FRAMES", 20)
    for name in ("a.mp4", "b.avi", "c.npy"):
        with pytest.raises(UnreadableError, match="frames or more; at most 20 are read: cut it into shorter clips"):
            list(open_footage(tmp_path, name, "THWC")[0].frames())


def test_a_playlist_named_as_a_video_opens_nothing(tmp_path: Path):
    write_video(tmp_path / "secret.avi", 12)
    for text in ("ffconcat version 1.0\nfile secret.avi\n", "#EXTM3U\n#EXTINF:1,\nsecret.avi\n"):
        (tmp_path / "a.mp4").write_text(text)
        with pytest.raises(UnreadableError, match="not a video"):
            open_footage(tmp_path, "a.mp4", "THWC")


class _Bad:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("unpickled",)


def test_a_pickle_is_never_read(videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    (videos / "classification_masks.mat").write_bytes(pickle.dumps(_Bad()))
    with pytest.raises(UserError, match=r"cannot read the masks in .*; get the file again, or remove it") as told:
        prepare("weizmann", videos, tmp_path / "store", workers=0)
    assert "\n" not in str(told.value)
    np.save(videos / "classification_masks.npy", np.array([_Bad()], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableError, match=r"not a \.npy array of numbers"):
        open_footage(videos, "classification_masks.npy", "THWC")
    assert not (tmp_path / "unpickled").exists()


def test_memory_has_a_bound_in_the_processes_that_read(tmp_path: Path):
    np.save(tmp_path / "p1_walk.npy", np.zeros((1200, 400, 400, 3), dtype=np.uint8))  # 0.6 GB
    code = """if True:
        import sys
        from pathlib import Path
        from tsvan.data.config import PrepareConfig
        from tsvan.data.datasets import rules
        from tsvan.data.raw import limits
        from tsvan.data.raw.filenames import identify
        from tsvan.data.raw.listing import Candidate
        from tsvan.data.raw.reading import Request, read

        limits.MAX_MEMORY_BYTES = 512 << 20
        limits.limit_memory()
        candidate = Candidate("p1_walk.npy", identify(rules("weizmann"), "p1_walk.npy"))
        print(read(Request(rules("weizmann"), Path(sys.argv[1]), candidate, PrepareConfig())).reason)
    """
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=limits.reader_environment()
    )
    assert answer.stdout == "takes more than 512.0 MiB of memory; cut it into shorter clips\n", answer.stderr
