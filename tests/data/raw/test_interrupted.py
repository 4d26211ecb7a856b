"""Preparations that are killed, run out of space or meet files that end their reader."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.data.clips import write_video
from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import rules
from tsvan.data.raw import limits, reader_pool
from tsvan.data.raw.filenames import identify
from tsvan.data.raw.listing import Candidate
from tsvan.data.raw.prepare import prepare
from tsvan.data.raw.prepare_journal import NAME
from tsvan.data.raw.reading import Reading, Refusal, Request
from tsvan.data.store import FRAMES, INDEX
from tsvan.data.store_writer import partial_folder
from tsvan.validation import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """24 clips, one of them empty."""
    video = write_video(tmp_path / "one.avi", 30, size=(64, 64)).read_bytes()
    (tmp_path / "videos").mkdir()
    for number in range(24):
        (tmp_path / "videos" / f"p{number}_walk.avi").write_bytes(video if number != 3 else b"")
    return tmp_path / "videos"


def command(source: Path, out: Path) -> list[str]:
    """A preparation that goes no further than four clips."""
    progress = "lambda done, total: time.sleep(600 if done == 4 else 0)"
    call = f"prepare('weizmann', {str(source)!r}, {str(out)!r}, workers=2, progress={progress})"
    return [sys.executable, "-c", f"import time; from tsvan.data.raw.prepare import prepare; {call}"]


def runs(pid: int) -> bool:
    """Whether a process is there and not merely unburied."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def lines(partial: Path) -> int:
    journal = partial / NAME
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def test_a_killed_preparation_goes_on_to_the_same_store(source: Path, tmp_path: Path) -> None:
    out, partial = tmp_path / "store", partial_folder(tmp_path / "store")
    process = subprocess.Popen(command(source, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while lines(partial) < 5:  # the settings and four clips
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    readers = [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(readers) == 2
    process.send_signal(signal.SIGKILL)
    process.wait()
    while any(runs(reader) for reader in readers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert not out.exists()
    calls: list[tuple[int, int]] = []
    store = prepare("weizmann", source, out, progress=lambda *call: calls.append(call))
    assert calls[0] == (4, 24)
    assert calls[-1] == (24, 24)
    unbroken = prepare("weizmann", source, tmp_path / "unbroken", workers=0)
    for name in (FRAMES, INDEX):
        assert (out / name).read_bytes() == (unbroken.path / name).read_bytes()
    assert sorted(path.name for path in out.iterdir()) == [FRAMES, INDEX]
    assert store.rejected == (("p3_walk.avi", "the file is empty"),)
    assert not partial.exists()


def test_done_clips_are_read_again_only_when_they_changed(source: Path, tmp_path: Path) -> None:
    out, partial = tmp_path / "store", partial_folder(tmp_path / "store")

    def first_call(config: PrepareConfig | None = None) -> int:
        """How many clips a preparation that is stopped at its first word has taken up."""
        seen: list[int] = []

        def stop(done: int, total: int) -> None:
            seen.append(done)
            if done > 8:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            prepare("weizmann", source, out, config=config, workers=0, progress=stop)
        return seen[0]

    assert first_call() == 1  # nothing was there
    assert first_call() == 9
    os.utime(source / "p5_walk.avi", (1, 1))
    assert first_call() == 5
    frames = np.memmap(partial / FRAMES, dtype=np.uint8, mode="r+", offset=128)
    frames[4 * 30 * 69 * 69 * 3] ^= 1  # in the sixth file, the fifth that is stored
    frames.flush()
    assert first_call() == 5
    with open(partial / NAME, "a") as journal:
        journal.write('{"stamp": ["p9_wa')  # torn by the death of the machine
    assert first_call() == 9
    assert first_call(PrepareConfig(centring="none")) == 1


def test_two_preparations_of_one_store_do_not_mix(source: Path, tmp_path: Path) -> None:
    def second(done: int, total: int) -> None:
        with pytest.raises(UserError, match="another process is preparing"):
            prepare("weizmann", source, tmp_path / "store", workers=0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("weizmann", source, tmp_path / "store", workers=0, progress=second)
    assert len(prepare("weizmann", source, tmp_path / "store").people) == 23


def test_a_full_disk_is_one_line_and_the_same_command_goes_on(source: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, hard))  # the kernel refuses what goes beyond, as a full disk
    try:
        with pytest.raises(UserError, match=r"cannot write .* kept in .*\.partial, the same command goes on") as told:
            prepare("weizmann", source, tmp_path / "store", workers=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(told.value)
    kept = [json.loads(line) for line in (partial_folder(tmp_path / "store") / NAME).read_text().splitlines()[1:]]
    calls: list[int] = []
    prepare("weizmann", source, tmp_path / "store", progress=lambda done, _: calls.append(done))
    # What the journal has and the disk got: 3 MB hold 6 clips of 30 frames of 69 x 69.
    assert 6 <= calls[0] <= len(kept)


def test_a_file_that_ends_its_reader_is_refused_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "TIMEOUT_S", 2.0)
    good = [write_video(tmp_path / f"p{number}_walk.avi", 30, size=(64, 64)).name for number in range(3)]
    with open(tmp_path / "hangs_walk.avi", "wb") as file:
        file.truncate(60 << 30)  # takes no room on the disk, and longer than 2 s to read through
    names = [good[0], "hangs_walk.avi", *good[1:]]
    found = rules("weizmann")
    requests = [
        Request(found, tmp_path, Candidate(name, identify(found, name)), PrepareConfig(), keep_frames=False)
        for name in names
    ]
    outcomes = list(reader_pool.read_all(requests, workers=1))
    assert [isinstance(outcome, Reading) for outcome in outcomes] == [True, False, True, True]
    assert isinstance(outcomes[1], Refusal)
    assert outcomes[1].bad
    assert outcomes[1].reason == "the process that read it ended after 2 s (SIGKILL)"


def test_processes_and_one_process_read_the_same(source: Path, tmp_path: Path) -> None:
    stores = [prepare("weizmann", source, tmp_path / f"store{workers}", workers=workers) for workers in (0, 2)]
    assert stores[0].content_hash == stores[1].content_hash


def test_readers_end_when_a_preparation_is_interrupted(source: Path, tmp_path: Path) -> None:
    def children() -> set[str]:
        return set(Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split())

    before, during = children(), set[str]()

    def stop(done: int, total: int) -> None:
        during.update(children())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("weizmann", source, tmp_path / "store", workers=2, progress=stop)
    assert len(during - before) == 2
    assert children() <= before
