"""The split rules against numbers worked out by hand."""

from __future__ import annotations

import pytest

from tsvan.data.datasets import rules
from tsvan.data.raw.filenames import identify
from tsvan.data.splits import Part, Source, cut, playback, synaction_index


def parts(dataset: str, files: dict[str, int], rate: float = 25.0) -> list[Part]:
    found = rules(dataset)
    return cut(found, [Source(name, identify(found, name), length, rate, "") for name, length in files.items()])


def ranges(found: list[Part]) -> list[tuple[str, int, int, str]]:
    return [(part.source.file, part.first, part.num_frames, part.split) for part in found]


def test_weizmann_trains_on_the_first_two_thirds():
    # floor(2/3 * 103) = 68
    found = ranges(parts("weizmann", {"a_jack.avi": 103}))
    assert found == [("a_jack.avi", 0, 68, "train"), ("a_jack.avi", 68, 35, "test")]


def test_mug_holds_out_every_fifth_take_in_sorted_order_whatever_the_order_of_files():
    files = {f"1_fear_{take}.mp4": 48 for take in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)}
    held_out = {part.source.file for part in parts("mug", files) if part.split == "test"}
    assert held_out == {"1_fear_5.mp4", "1_fear_10.mp4"}


def test_mug_splits_a_video_in_four_by_phase():
    # 42 frames: phases 0 and 1 have 11, phases 2 and 3 have 10, stored one after another.
    assert ranges(parts("mug", {"1_fear_1.mp4": 42})) == [
        ("1_fear_1.mp4", 0, 11, "train"),
        ("1_fear_1.mp4", 11, 11, "train"),
        ("1_fear_1.mp4", 22, 10, "train"),
        ("1_fear_1.mp4", 32, 10, "train"),
    ]


def test_mug_parts_of_one_take_are_on_one_side():
    files = {f"1_fear_{take}_{part}.npy": 12 for take in range(5) for part in range(4)}
    sides = {(part.source.identity.take, part.split) for part in parts("mug", files)}
    assert sides == {("0", "train"), ("1", "train"), ("2", "train"), ("3", "train"), ("4", "test")}


@pytest.mark.parametrize(
    ("actor", "action", "sequence", "index"), [(0, 0, 0, 0), (0, 7, 1, 0), (1, 0, 0, 10), (9, 19, 1, 9)]
)
def test_synaction_index_by_hand(actor: int, action: int, sequence: int, index: int):
    # (0*20+7)*2+1 = 15 -> 0; (1*20)*2 = 40 -> 10; (9*20+19)*2+1 = 399 = 26*15 + 9
    assert synaction_index(actor, action, sequence) == index


def test_synaction_holds_out_one_index_of_each_sequence():
    files = {f"1_bow_0_{index}.npy": 40 for index in range(15)}
    assert [part.source.identity.index for part in parts("synaction", files) if part.split == "test"] == [10]


def test_synaction_names_count_by_their_sorted_position():
    # actor bo = 1, sequence b = 1, wave = 19: (1*20+19)*2+1 = 79 = 5*15 + 4
    files = {"al_wave_a_3.npy": 40, "bo_wave_b_4.npy": 40, "bo_wave_b_5.npy": 40}
    assert [part.split for part in parts("synaction", files)] == ["train", "test", "train"]


def test_vox_holds_out_five_percent_of_a_speakers_source_videos_with_all_their_files():
    many = {f"a#v{video:02d}#{first}#9.mp4": 60 for video in range(40) for first in (0, 5)}
    few = {"b#x#0#9.mp4": 60, "b#y#0#9.mp4": 60}
    held_out = {part.source.file for part in parts("vox", many | few) if part.split == "test"}
    assert held_out == {f"a#v{video}#{first}#9.mp4" for video in (38, 39) for first in (0, 5)} | {"b#y#0#9.mp4"}


def test_vox_speaker_with_one_video_holds_out_its_last_fifth_after_a_window():
    # 120 frames at 29.97 a second: step 2, a window covers 19; 120 - 24 = 96; 96 - 19 = 77
    assert ranges(parts("vox", {"a#v#1#120.mp4": 120}, rate=29.97)) == [
        ("a#v#1#120.mp4", 0, 77, "train"),
        ("a#v#1#120.mp4", 96, 24, "test"),
    ]


def test_vox_files_of_one_video_are_taken_in_time():
    # 200 frames in all, the border is at 160: in the second file in time, at its frame 60.
    found = parts("vox", {"a#v#101#200.mp4": 100, "a#v#1#100.mp4": 100})
    assert ranges(found) == [
        ("a#v#1#100.mp4", 0, 100, "train"),
        ("a#v#101#200.mp4", 0, 41, "train"),
        ("a#v#101#200.mp4", 60, 40, "test"),
    ]


def test_vox_keeps_its_gap_where_the_border_falls_between_two_files():
    # 200 frames, the border at 160 is the second file's first frame: 19 frames before it are used by neither side.
    found = parts("vox", {"a#v#1#160.mp4": 160, "a#v#161#200.mp4": 40})
    assert ranges(found) == [("a#v#1#160.mp4", 0, 141, "train"), ("a#v#161#200.mp4", 0, 40, "test")]


def test_vox_keeps_its_gap_over_several_files():
    # The border is at 160; the gap from 141 on takes the end of the second file and all of the third.
    found = parts("vox", {"a#v#1#100.mp4": 100, "a#v#101#150.mp4": 50, "a#v#151#160.mp4": 10, "a#v#161#200.mp4": 40})
    assert ranges(found)[1:] == [("a#v#101#150.mp4", 0, 41, "train"), ("a#v#161#200.mp4", 0, 40, "test")]


def test_the_release_holds_out_a_phase_of_every_mug_take():
    found = rules("mug")
    files = {"1_fear_1.mp4": 42, "1_fear_2_0.npy": 12, "1_fear_2_3.npy": 12}
    sources = [Source(name, identify(found, name), length, None, "") for name, length in files.items()]
    assert ranges(cut(found, sources, "release")) == [
        ("1_fear_1.mp4", 0, 11, "train"),
        ("1_fear_1.mp4", 11, 11, "train"),
        ("1_fear_1.mp4", 22, 10, "train"),
        ("1_fear_1.mp4", 32, 10, "test"),
        ("1_fear_2_0.npy", 0, 12, "train"),
        ("1_fear_2_3.npy", 0, 12, "test"),
    ]


def test_vox_video_too_short_for_both_sides_trains_whole():
    # A fifth of 45 frames is 9, shorter than a window.
    assert ranges(parts("vox", {"a#v#1#45.mp4": 45})) == [("a#v#1#45.mp4", 0, 45, "train")]


@pytest.mark.parametrize(
    ("num_frames", "step", "expected"),
    [(19, 2, (2, False)), (18, 2, (1, True)), (10, 6, (1, True)), (10, 1, (1, False)), (9, 1, None)],
)
def test_a_clip_too_short_for_its_step_falls_back_to_one_and_is_flagged(
    num_frames: int, step: int, expected: tuple[int, bool] | None
):
    assert playback(num_frames, step) == expected
