"""Frames here say where they come from: red is the row in the store, green and blue the pixel's row and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.data.clips import write_store
from tsvan.config import DataConfig
from tsvan.data.batches import Batches, FrameReader
from tsvan.data.store import ClipStore
from tsvan.validation import UserError

FILES = {f"p{number}_{action}.avi": 60 for number in range(2) for action in ("walk", "run")}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ClipStore:
    return write_store("weizmann", tmp_path_factory.mktemp("data") / "store", FILES)


def pixels(clips: torch.Tensor) -> torch.Tensor:
    return ((clips + 1) * 127.5).round().long()


def test_a_batch_has_the_promised_form(store: ClipStore):
    clips, labels = Batches(store, DataConfig(), 3, seed=0, device="cpu").at(1)
    assert (clips.shape, clips.dtype) == ((3, 3, 10, 64, 64), torch.float32)
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)
    assert (labels.shape, labels.dtype) == ((3,), torch.int64)
    assert clips.min() >= -1
    assert clips.max() <= 1


def test_each_clip_is_one_window_at_its_step_with_one_crop(store: ClipStore):
    batches = Batches(store, DataConfig(), 4, seed=0, device="cpu")
    for iteration in (1, 2):
        clips, labels = batches.at(iteration)
        for index, clip, label in zip(batches.chosen(iteration), pixels(clips), labels, strict=True):
            origin = batches.clips[index]
            assert label == origin.label
            rows = clip[0, :, 0, 0]
            assert (torch.diff(rows) == origin.frame_step).all()
            assert rows[0] >= origin.start % 256
            assert rows[-1] < origin.start % 256 + origin.num_frames
            top, left = clip[1, 0, 0, 0], clip[2, 0, 0, 0]
            assert 0 <= top <= 5
            assert 0 <= left <= 5
            assert (clip[1] == top + torch.arange(64)[:, None]).all()
            assert (clip[2] == left + torch.arange(64)).all()


def test_windows_and_crops_reach_both_ends(store: ClipStore):
    batches = Batches(store, DataConfig(), 4, seed=0, device="cpu")
    starts, tops = set(), set()
    for iteration in range(1, 300):
        draw = batches.drawn(iteration)
        starts.update(draw.rows[draw.chosen == 0, 0])
        tops.update(draw.tops)
    # 40 training frames at step 2: 40 - 19 + 1 = 22 windows; 69 - 64 + 1 = 6 offsets
    assert starts == set(range(22))
    assert tops == set(range(6))


def test_an_iteration_depends_on_seed_and_number_only(store: ClipStore):
    first, again = (Batches(store, DataConfig(), 2, seed=7, device="cpu") for _ in range(2))
    unbroken = [first.at(iteration) for iteration in range(1, 8)]
    resumed = again.at(6)
    assert torch.equal(unbroken[5].clips, resumed.clips)
    assert torch.equal(unbroken[5].labels, resumed.labels)
    other = Batches(store, DataConfig(), 2, seed=8, device="cpu")
    assert not torch.equal(other.at(6).clips, resumed.clips)
    assert not torch.equal(again.at(7).clips, resumed.clips)


def test_an_epoch_has_each_clip_once_and_drops_the_incomplete_batch(tmp_path: Path):
    store = write_store("weizmann", tmp_path / "store", {f"p{number}_run.avi": 20 for number in range(7)})
    batches = Batches(store, DataConfig(), 3, seed=0, device="cpu")
    assert batches.iterations_per_epoch == 2
    epochs = [np.concatenate([batches.chosen(2 * epoch + i) for i in (1, 2)]) for epoch in range(6)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 6


def test_a_split_smaller_than_a_batch_repeats_each_clip_as_often_as_needed(store: ClipStore):
    # 4 clips, batch 10: each three times in the order, one batch, two dropped
    batches = Batches(store, DataConfig(), 10, seed=0, device="cpu")
    assert batches.iterations_per_epoch == 1
    counts = np.bincount(batches.chosen(1), minlength=4)
    assert counts.sum() == 10
    assert counts.max() <= 3


def test_a_reader_gives_the_very_pixels_of_the_store(store: ClipStore):
    rows = np.array([[0, 2, 4], [100, 101, 102]])
    tops, lefts = np.array([0, 5]), np.array([3, 2])
    clips = pixels(FrameReader(store, "cpu").read(rows, tops, lefts))
    assert clips.shape == (2, 3, 3, 64, 64)
    for clip, row, top, left in zip(clips, rows, tops, lefts, strict=True):
        exact = store.frames[row, top : top + 64, left : left + 64]  # (T, 64, 64, 3)
        assert np.array_equal(clip.permute(1, 2, 3, 0).numpy(), exact)


def test_frames_kept_on_the_device_give_the_same_clips_as_the_file(store: ClipStore):
    rows = np.array([[0, 2, 4], [100, 101, 102]])
    where = (rows, np.array([0, 5]), np.array([3, 2]))
    reader = FrameReader(store, "cpu")
    from_file = reader.read(*where)
    reader._frames = torch.from_numpy(np.array(store.frames))  # as on a GPU that the store fits on
    assert torch.equal(reader.read(*where), from_file)


def test_paper_split_trains_on_everything_for_vox_only(store: ClipStore, tmp_path: Path):
    vox = write_store("vox", tmp_path / "store", {"a#v#1#9.mp4": 60, "a#w#1#9.mp4": 60})
    for clips, expected in ((vox, (1, 2)), (store, (4, 4))):
        default, paper = (Batches(clips, DataConfig(split=split), 2, 0, "cpu").clips for split in ("default", "paper"))
        assert (len(default), len(paper)) == expected


def test_a_longer_window_falls_back_to_step_one_where_its_step_does_not_fit(store: ClipStore):
    # 40 training frames: 21 frames at step 2 cover 41
    batches = Batches(store, DataConfig(num_frames=21), 4, seed=0, device="cpu")
    assert (torch.diff(pixels(batches.at(1).clips)[:, 0, :, 0, 0]) == 1).all()


def test_a_window_longer_than_a_clip_is_refused(store: ClipStore):
    with pytest.raises(UserError, match=r"data\.num_frames=41 is longer than p0_walk\.avi .* 40 frames are trained on"):
        Batches(store, DataConfig(num_frames=41), 2, 0, "cpu")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("resident_share", [0.0, 0.1])
def test_a_gpu_gives_the_same_batches(store: ClipStore, resident_share: float):
    ours = Batches(store, DataConfig(), 4, 0, "cpu").at(3)
    theirs = Batches(store, DataConfig(), 4, 0, "cuda", resident_share).at(3)
    assert torch.equal(ours.labels, theirs.labels.cpu())
    assert torch.allclose(ours.clips, theirs.clips.cpu(), atol=1e-6)
