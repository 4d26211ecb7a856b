"""Folders of none of the datasets that ship: what is proposed for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.clips import write_video
from tsvan.data.datasets import DatasetRules, rules
from tsvan.data.raw.inspection import Inspection, describe, inspect
from tsvan.data.raw.prepare import prepare
from tsvan.data.raw.proposal import to_yaml


def looked_at(folder: Path, names: list[str], num_frames: int = 40) -> Inspection:
    for name in names:
        write_video(folder / f"{name}.avi", num_frames, size=(64, 64))
    return inspect(folder)


def layouts(found: DatasetRules) -> list[str]:
    return [layout.pattern for layout in found.layouts]


def test_folders_are_classes_and_never_speakers(tmp_path: Path):
    found = looked_at(tmp_path, [f"{name}/clip {n}" for name in ("jump", "spin", "wave") for n in range(4)])
    assert found.proposed
    assert found.problem == ""
    assert (found.rules.classes, layouts(found.rules)) == (("jump", "spin", "wave"), ["<class>/**/<clip>"])
    assert [clip.split for clip in found.indexed.clips] == ["train", "train", "train", "test"] * 3
    text = describe(found)
    assert "taken for none of weizmann, mug, synaction, vox; 12 videos" in text
    assert "sizes: 64 x 64 (12)" in text
    assert "frames of a clip: 40 to 40, the middle one 40" in text
    assert "speaker" not in text
    assert "people" not in text


@pytest.mark.parametrize("above", ["UCF-101/", "", "data/videos/"])
def test_clips_cut_out_of_one_video_are_one_take(tmp_path: Path, above: str):
    names = [f"{above}{c}/v_{c}_g{take:02d}_c{n:02d}" for c in ("Biking", "Diving") for take in (1, 2) for n in (1, 2)]
    found = looked_at(tmp_path, names)
    assert layouts(found.rules) == ["*/" * above.count("/") + "<class>/**/*_g<take>_c*"]
    assert found.rules.held_out.by == "take"
    assert {clip.source[-11:-4] for clip in found.indexed.clips if clip.split == "test"} == {"g02_c01", "g02_c02"}


def test_train_and_test_folders_are_not_classes(tmp_path: Path):
    found = looked_at(tmp_path, [f"{side}/{c}/{n}" for side in ("train", "test") for c in ("a", "b") for n in range(2)])
    assert (found.rules.classes, layouts(found.rules)) == (("a", "b"), ["*/<class>/**/<clip>"])


def test_words_before_numbers_are_classes(tmp_path: Path):
    found = looked_at(tmp_path, [f"{name}_{n:02d}" for name in ("hand_wave", "jump") for n in range(3)])
    assert found.rules.classes == ("hand_wave", "jump")
    assert found.problem == ""


def test_names_that_say_nothing_are_one_class(tmp_path: Path):
    found = looked_at(tmp_path, ["holiday", "beach", "dog"], num_frames=120)
    assert (found.rules.classes, found.rules.heads, found.rules.objectives) == (
        ("all",),
        ("playback step",),
        ("kernel_distance",),
    )
    assert found.problem == ""


def test_a_class_of_one_clip_has_its_end_held_out(tmp_path: Path):
    found = looked_at(tmp_path, ["a/1", "a/2", "b/1"], num_frames=120)
    assert found.rules.held_out.by == "time"
    assert {(clip.label, clip.split) for clip in found.indexed.clips} == {
        (label, side) for label in (0, 1) for side in ("train", "test")
    }


def test_short_clips_are_played_frame_by_frame(tmp_path: Path):
    found = looked_at(tmp_path, [f"{c}/{n}" for c in ("a", "b") for n in range(3)], num_frames=15)
    assert {clip.frame_step for clip in found.indexed.clips} == {1}
    assert not any(clip.flagged for clip in found.indexed.clips)


def test_what_is_proposed_can_be_prepared(tmp_path: Path):
    found = looked_at(tmp_path / "my clips", [f"{name}/clip {n}" for name in ("jump", "spin") for n in range(3)])
    file = tmp_path / "my.yaml"
    file.write_text(to_yaml(found.rules), encoding="utf-8")
    assert found.rules.name == "my-clips"
    assert rules(str(file)) == found.rules
    store = prepare(str(file), tmp_path / "my clips", tmp_path / "store", workers=0)
    assert store.clips == tuple(
        clip.__class__(**{**vars(clip), "source_sha256": own.source_sha256})
        for clip, own in zip(found.indexed.clips, store.clips, strict=True)
    )


def test_a_folder_named_after_a_dataset_gets_another_name(tmp_path: Path):
    assert looked_at(tmp_path / "vox", ["a/1", "a/2", "b/1", "b/2"]).rules.name == "my-vox"
