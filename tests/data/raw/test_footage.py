from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data.clips import write_video
from tsvan.data.datasets import NpyAxes
from tsvan.data.raw.boxes import central
from tsvan.data.raw.footage import Frames, UnreadableError, open_footage
from tsvan.data.raw.reading import reduce


def decode(path: Path, side: int, layout: NpyAxes = "THWC") -> Frames:
    """All frames' central squares."""
    footage, _ = open_footage(path.parent, path.name, layout)
    return reduce(footage, central(footage.size), side)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_video_is_read_in_order_as_rgb(tmp_path: Path, name: str):
    frames = decode(write_video(tmp_path / name, 12, rate=30), 16)
    assert frames.shape == (12, 16, 16, 3)
    assert open_footage(tmp_path, name, "THWC")[0].rate == 30.0
    expected = np.array([(4 * t, 128, 255 - 4 * t) for t in range(12)])
    assert np.abs(frames[:, 8, 8].astype(int) - expected).max() <= 1


def test_the_central_square_is_kept_and_shrinking_averages(tmp_path: Path):
    clip = np.zeros((10, 32, 64, 3), dtype=np.uint8)
    clip[:, :, :16] = clip[:, :, 48:] = 255  # outside the central square
    clip[:, :, 17:48:2] = 200  # stripes of one pixel: plain bilinear sampling would show all or none of them
    np.save(tmp_path / "a.npy", clip)
    frames = decode(tmp_path / "a.npy", 8, "THWC")
    assert np.abs(frames[:, :, 1:-1].astype(int) - 100).max() < 15


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((12, 20, 24, 3), "THWC"),
        ((20, 24, 3, 12), "HWCT"),
        ((12, 20, 24, 3), "HWCT"),  # only (T, H, W, C) can be meant
        ((20, 24, 3, 12), "THWC"),
    ],
)
def test_both_published_layouts_are_told_apart(tmp_path: Path, shape: tuple[int, ...], layout: str):
    np.save(tmp_path / "a.npy", np.zeros(shape, dtype=np.uint8))
    assert decode(tmp_path / "a.npy", 16, layout).shape == (12, 16, 16, 3)


def test_weizmanns_layout_keeps_the_order_of_frames(tmp_path: Path):
    clip = np.zeros((16, 16, 3, 11), dtype=np.uint8)
    clip[..., :] = np.arange(11)
    np.save(tmp_path / "a.npy", clip)
    assert decode(tmp_path / "a.npy", 16, "HWCT")[:, 0, 0, 0].tolist() == list(range(11))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((12, 20, 24), np.uint8), "expected 4 axes of uint8"),
        (np.zeros((12, 20, 24, 3), np.float32), "expected 4 axes of uint8"),
        (np.zeros((12, 20, 24, 4), np.uint8), r"expected \(T, H, W, C\) with C = 3, got shape \(12, 20, 24, 4\)"),
        (np.array([{"a": 1}]), "not a .npy array of numbers"),
    ],
)
def test_other_arrays_are_refused_with_a_reason(tmp_path: Path, array: np.ndarray, reason: str):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UnreadableError, match=reason):
        decode(tmp_path / "a.npy", 16, "THWC")


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "the file is empty"), (b"no video at all, only text\n" * 50, "not a video")]
)
def test_files_that_are_no_videos_are_refused(tmp_path: Path, content: bytes, reason: str):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(UnreadableError, match=reason):
        decode(tmp_path / "a.mp4", 16, "THWC")


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_half_a_video_does_not_pass_for_a_whole_one(tmp_path: Path, name: str):
    path = write_video(tmp_path / name, 40)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(UnreadableError, match=r"cut off|damaged"):
        decode(path, 16, "THWC")
