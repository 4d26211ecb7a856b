from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from tests.data.clips import write_store
from tsvan.data.datasets import rules
from tsvan.data.store import ClipStore
from tsvan.data.store_writer import StoreWriter
from tsvan.files import hash_json
from tsvan.validation import UserError

FILES = {"b_walk.avi": 60, "a_run1.avi": 30, "a_bend.avi": 45}


@pytest.fixture
def store(tmp_path: Path) -> ClipStore:
    return write_store("weizmann", tmp_path / "store", FILES)


def test_a_store_holds_what_was_written(store: ClipStore):
    assert store.frames.shape == (135, 69, 69, 3)
    assert store.frames[:, 0, 0, 0].tolist() == list(range(135))
    assert (store.classes, store.people, store.num_classes) == (("bend", "run", "walk"), ("a", "b"), 3)
    found = [(c.start, c.num_frames, c.label, c.person, c.split, c.frame_step, c.flagged) for c in store.clips]
    assert found == [
        (0, 40, 2, 1, "train", 2, False),
        (40, 20, 2, 1, "test", 2, False),
        (60, 20, 1, 0, "train", 1, False),
        (80, 10, 1, 0, "test", 1, False),
        (90, 30, 0, 0, "train", 2, False),
        (120, 15, 0, 0, "test", 1, True),  # 15 frames: a window at step 2 covers 19
    ]


def test_frames_are_mapped_and_cannot_be_written(store: ClipStore):
    assert isinstance(store.frames, np.memmap)
    assert not store.frames.flags.writeable
    assert len(pickle.dumps(store)) < 10_000


def test_the_hash_belongs_to_the_content_not_to_the_folder(store: ClipStore, tmp_path: Path):
    assert write_store("weizmann", tmp_path / "elsewhere", FILES).content_hash == store.content_hash
    other = write_store("weizmann", tmp_path / "other", {**FILES, "a_bend.avi": 46})
    assert other.content_hash != store.content_hash


def test_mug_videos_are_stored_phase_by_phase(tmp_path: Path):
    store = write_store("mug", tmp_path / "store", {"1_fear_1.mp4": 42})
    clip = store.clips[1]
    assert store.frames[clip.start : clip.start + clip.num_frames, 0, 0, 0].tolist() == list(range(1, 42, 4))


def test_a_class_that_is_only_held_out_is_left_out_with_the_reason(tmp_path: Path):
    files = {**{f"1_anger_{take}.mp4": 40 for take in range(4)}, "1_fear_0.mp4": 40}
    store = write_store("mug", tmp_path / "store", files)
    assert store.classes == ("anger",)
    assert store.left_out[0] == ("1_fear_0.mp4", "no clip of 'fear' is in the train split")


def test_a_part_too_short_for_a_window_is_left_out_with_the_reason(tmp_path: Path):
    store = write_store("weizmann", tmp_path / "store", {"a_run.avi": 27})
    assert [clip.split for clip in store.clips] == ["train"]
    assert store.left_out == (("a_run.avi", "its test part has 9 frames, a window needs 10"),)


def test_a_store_of_another_dataset_is_refused(store: ClipStore):
    with pytest.raises(UserError, match="is a clip store of 'weizmann', not of 'vox'; give a store of 'vox'"):
        ClipStore.open(store.path, "vox")


def test_a_missing_store_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(UserError, match=r"no clip store at .*nothing .*data prepare"):
        ClipStore.open(tmp_path / "nothing")


def test_an_edited_index_is_refused(store: ClipStore):
    index = json.loads((store.path / "index.json").read_text())
    index["clips"][0]["label"] = 0
    (store.path / "index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"index\.json has changed"):
        ClipStore.open(store.path)


def test_an_index_of_another_version_is_refused(store: ClipStore):
    index = json.loads((store.path / "index.json").read_text())
    (store.path / "index.json").write_text(json.dumps({**index, "version": 99}))
    with pytest.raises(UserError, match="of version 99, this program reads version 1; prepare it again"):
        ClipStore.open(store.path)


@pytest.mark.parametrize("damage", ["cut", "missing", "text"])
def test_damaged_frames_are_refused(store: ClipStore, damage: str):
    file = store.path / "frames.npy"
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[:-1000] if damage == "cut" else b"text")
    with pytest.raises(UserError, match=r"is damaged: frames\.npy .*delete it and prepare it again"):
        ClipStore.open(store.path)


def test_verify_finds_a_changed_pixel(store: ClipStore):
    store.verify()
    file = store.path / "frames.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"frames\.npy has changed"):
        ClipStore.open(store.path).verify()


def test_an_unfinished_store_leaves_nothing_behind(tmp_path: Path):
    with pytest.raises(RuntimeError, match="stop"), StoreWriter(rules("vox"), tmp_path / "deep" / "store", "real"):
        raise RuntimeError("stop")
    assert list(tmp_path.iterdir()) == []


def test_a_store_does_not_replace_what_is_there(store: ClipStore):
    with pytest.raises(UserError, match="already there; delete it"):
        write_store("weizmann", store.path, FILES)


def test_a_store_made_before_its_split_was_noted_still_opens(tmp_path: Path):
    store = write_store("weizmann", tmp_path / "store", {"a_walk.avi": 60})
    file = store.path / "index.json"
    index = json.loads(file.read_text())
    for key in ("split_rule", "layout", "centring", "index_hash"):
        del index[key]
    index["index_hash"] = hash_json(index)
    file.write_text(json.dumps(index))
    opened = ClipStore.open(store.path)
    assert (opened.split_rule, opened.centring, opened.content_hash) == ("supplement", "", store.content_hash)
