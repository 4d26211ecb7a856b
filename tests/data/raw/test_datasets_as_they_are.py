"""Every layout as its users have it, built small with real containers: labels, splits, rates and boxes."""

from __future__ import annotations

import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from tests.data.clips import talking, walking, write_frames, write_pictures, write_video
from tsvan.data.config import PrepareConfig
from tsvan.data.raw.inspection import inspect
from tsvan.data.raw.prepare import prepare
from tsvan.data.raw.recognition import recognise
from tsvan.data.store import ClipStore
from tsvan.validation import UserError


def rules_of(source: Path) -> str:
    """Name of the dataset that a folder is recognised as."""
    found = recognise(source)
    return "" if found is None else found.name


def by_source(store: ClipStore) -> dict[str, list[tuple[str, str, int, int]]]:
    """Of each source: split, class, frames and step of its clips."""
    found: dict[str, list[tuple[str, str, int, int]]] = {}
    for clip in store.clips:
        entry = (clip.split, store.classes[clip.label], clip.num_frames, clip.frame_step)
        found.setdefault(clip.source, []).append(entry)
    return found


def weizmann_videos(folder: Path) -> list[Path]:
    """Ten people's worth of names would take long: two people, lena with her doubles, square so that nothing is cut."""
    names = ["daria_bend", "daria_wave1", "lena_bend", "lena_run1", "lena_run2", "lena_skip1", "lena_skip2"]
    names += ["lena_walk1", "lena_walk2"]
    return [write_video(folder / f"{name}.avi", 60, size=(48, 48)) for name in names]


WEIZMANN = {
    "bend": [("train", "bend", 40, 2), ("test", "bend", 20, 2)],
    "wave1": [("train", "wave1", 40, 2), ("test", "wave1", 20, 2)],
    "run1": [("train", "run", 40, 1), ("test", "run", 20, 1)],
    "skip1": [("train", "skip", 40, 1), ("test", "skip", 20, 1)],
    "walk1": [("train", "walk", 40, 2), ("test", "walk", 20, 2)],
}


@pytest.mark.parametrize("form", ["one folder", "folders by action", "zips"])
def test_weizmann_as_it_is_downloaded(tmp_path: Path, form: str) -> None:
    source = tmp_path / "weizmann"
    for video in weizmann_videos(tmp_path / "made"):
        action = video.stem.split("_")[1].rstrip("12") if "wave" not in video.stem else video.stem.split("_")[1]
        folder = source / action if form == "folders by action" else source
        folder.mkdir(parents=True, exist_ok=True)
        if form == "zips":
            with zipfile.ZipFile(source / f"{action}.zip", "a") as archive:
                archive.write(video, video.name)
        else:
            video.rename(folder / video.name)
    assert rules_of(source) == "weizmann"
    store = prepare("weizmann", source, tmp_path / "store")
    found = {Path(file).stem: clips for file, clips in by_source(store).items()}
    assert found == {
        **{f"daria_{name}": WEIZMANN[name] for name in ("bend", "wave1")},
        **{f"lena_{name}": WEIZMANN[name] for name in ("bend", "run1", "skip1", "walk1")},
    }
    assert store.people == ("daria", "lena")
    doubles = sorted(Path(file).stem for file, reason in store.left_out if "second take" in reason)
    assert doubles == ["lena_run2", "lena_skip2", "lena_walk2"]
    assert store.layout == ("6 videos in zips" if form == "zips" else "6 videos")


def test_all_forms_of_weizmann_give_the_same_frames(tmp_path: Path) -> None:
    videos = weizmann_videos(tmp_path / "folder")
    (tmp_path / "zips").mkdir()
    with zipfile.ZipFile(tmp_path / "zips" / "all.zip", "w") as archive:
        for video in videos:
            archive.write(video, video.name)
    stores = [prepare("weizmann", tmp_path / name, tmp_path / f"store-{name}") for name in ("folder", "zips")]
    assert stores[0].frames_sha256 == stores[1].frames_sha256


def test_a_walking_actor_is_followed_by_what_moves_and_by_masks(tmp_path: Path) -> None:
    frames, masks = walking(40)
    write_frames(tmp_path / "moves" / "daria_walk.avi", frames)
    write_frames(tmp_path / "masks" / "daria_walk.avi", frames)
    savemat(
        tmp_path / "masks" / "classification_masks.mat",
        {"original_masks": {"daria_walk": np.moveaxis(masks, 0, 2).astype(np.uint8)}},
    )
    for name, how in (("moves", "motion"), ("masks", "masks")):
        store = prepare("weizmann", tmp_path / name, tmp_path / f"store-{name}")
        assert store.centring == f"1 {how}"
        bright = store.frames[5:30, ..., 0] > 150  # (T, S, S); away from the walls, where the square stops
        columns = (bright.any(axis=1) * np.arange(69)).sum(axis=1) / bright.any(axis=1).sum(axis=1)
        rows = bright.any(axis=2).sum(axis=1)
        assert np.abs(columns - 34).max() < 4, how
        assert np.all((rows > 0.6 * 69) & (rows < 0.9 * 69)), how  # the figure with its margin


def test_masks_show_the_whole_body_of_an_actor_who_moves_one_arm(tmp_path: Path) -> None:
    frames, masks = walking(30, speed=0.0)
    for number in range(30):
        top = 50 if number % 10 < 5 else 30
        frames[number, top : top + 8, 50:70] = 220
        masks[number, top : top + 8, 50:70] = True
    write_frames(tmp_path / "videos" / "eli_wave1.avi", frames)
    savemat(
        tmp_path / "videos" / "classification_masks.mat",
        {"original_masks": {"eli_wave1": np.moveaxis(masks, 0, 2).astype(np.uint8)}},
    )
    store = prepare("weizmann", tmp_path / "videos", tmp_path / "store")
    body = (store.frames[0, ..., 0] > 150).any(axis=1)  # rows with a bright pixel
    assert 4 < np.flatnonzero(body)[0] < 35
    assert 55 < np.flatnonzero(body)[-1] < 68  # the feet are in, with a margin below


def test_an_unreadable_file_of_masks_is_told(tmp_path: Path) -> None:
    weizmann_videos(tmp_path / "videos")
    (tmp_path / "videos" / "classification_masks.mat").write_bytes(b"no masks")
    with pytest.raises(UserError, match=r"cannot read the masks in .*classification_masks\.mat"):
        prepare("weizmann", tmp_path / "videos", tmp_path / "store")


def mug_tree(root: Path) -> None:
    """One subject in sessions, one without; what the rules leave out is among it."""
    face = talking(44, size=(220, 200), at=(140, 90))
    write_pictures(root / "subjects3" / "001" / "session0" / "anger" / "take000", face)
    write_pictures(root / "subjects3" / "001" / "session1" / "anger" / "take000", face)
    write_pictures(root / "subjects3" / "001" / "session1" / "neutral" / "take000", face[:2])
    write_pictures(root / "subjects3" / "001" / "session1" / "anger" / "take001end", face[:2])
    write_pictures(root / "subjects3" / "002" / "fear" / "take000", face[:39])
    for take in range(1, 4):
        write_pictures(root / "subjects3" / "002" / "fear" / f"take{take:03d}", face)


def test_mug_as_pictures(tmp_path: Path) -> None:
    mug_tree(tmp_path / "mug")
    assert rules_of(tmp_path / "mug") == "mug"
    store = prepare("mug", tmp_path / "mug", tmp_path / "store")
    reasons = {Path(file).name: reason for file, reason in store.left_out}
    assert reasons["take001end"] == "takes that end in 'end' are not used"
    assert reasons["take000"].startswith(("39 frames; takes of fewer than 40", "'neutral'"))
    assert any("fewer than 40" in reason for _, reason in store.left_out)
    # Five takes are left, of four phases each; the fifth by id is held out as a whole.
    assert {file: {clip[0] for clip in clips} for file, clips in by_source(store).items()} == {
        "subjects3/001/session0/anger/take000": {"train"},
        "subjects3/001/session1/anger/take000": {"train"},
        "subjects3/002/fear/take001": {"train"},
        "subjects3/002/fear/take002": {"train"},
        "subjects3/002/fear/take003": {"test"},
    }
    assert Counter((clip.num_frames, clip.frame_step) for clip in store.clips) == {(11, 1): 20}
    assert store.classes == ("anger", "fear")
    # The face lies to the right of the middle: in the middle of the cut there is face, in the corners there is none.
    assert store.centring == "5 face"
    assert store.frames[:, 33:38, 33:38].mean() > 150
    assert np.abs(store.frames[:, :3, :3].astype(int) - 120).max() < 12


def test_mug_by_the_releases_split(tmp_path: Path) -> None:
    mug_tree(tmp_path / "mug")
    store = prepare("mug", tmp_path / "mug", tmp_path / "store", config=PrepareConfig(split="release"))
    for clips in by_source(store).values():
        assert [clip[0] for clip in clips] == ["train", "train", "train", "test"]
    assert store.split_rule == "release"


def test_published_npy_clips_are_left_alone(tmp_path: Path) -> None:
    clips = tmp_path / "mug"
    clips.mkdir()
    for take in range(5):
        for part in range(4):
            np.save(clips / f"7_fear_{take}_{part}.npy", np.full((12, 90, 71, 3), take, dtype=np.uint8))
    store = prepare("mug", clips, tmp_path / "store")
    assert store.centring == "20 left alone"
    assert {clip.source for clip in store.split("test")} == {f"7_fear_4_{part}.npy" for part in range(4)}


def test_synactions_clips(tmp_path: Path) -> None:
    clips = tmp_path / "synaction"
    clips.mkdir()
    for index in range(15):
        np.save(clips / f"3_2_1_{index}.npy", np.full((40, 71, 71, 3), index, dtype=np.uint8))
    np.save(clips / "3_16_0_1.npy", np.zeros((40, 71, 71, 3), dtype=np.uint8))
    np.save(clips / "3_5_0_1.npy", np.zeros((60, 71, 71, 3), dtype=np.uint8))
    assert rules_of(clips) == "synaction"
    store = prepare("synaction", clips, tmp_path / "store")
    # ((3 * 20 + 2) * 2 + 1) % 15 = 125 % 15 = 5
    assert [clip.source for clip in store.split("test")] == ["3_2_1_5.npy"]
    assert {(store.classes[clip.label], clip.frame_step) for clip in store.clips} == {
        ("clap", 2),
        ("stall", 4),
        ("hit", 6),
    }


def test_voxceleb_crops_under_train_and_test(tmp_path: Path) -> None:
    for place, name in (("train", "id1#aa#000001#000030"), ("train", "id1#aa#000100#000130"), ("test", "id1#bb#1#30")):
        write_video(tmp_path / "vox" / place / f"{name}.mp4", 30, size=(256, 256))
    write_video(tmp_path / "vox" / "test" / "id2#cc#1#15.mp4", 30, rate=50, size=(256, 256))
    assert rules_of(tmp_path / "vox") == "vox"
    store = prepare("vox", tmp_path / "vox", tmp_path / "store")
    found = by_source(store)
    # Videos are held out, whatever folder they are in; id2 has one, too short for two sides.
    assert found["test/id1#bb#1#30.mp4"] == [("test", "talk", 30, 2)]
    assert found["train/id1#aa#000100#000130.mp4"] == [("train", "talk", 30, 2)]
    assert found["test/id2#cc#1#15.mp4"] == [("train", "talk", 30, 1)]  # 4 rows a step need 37 frames
    assert (store.people, store.centring) == (("id1", "id2"), "4 left alone")


def test_voxcelebs_face_frames(tmp_path: Path) -> None:
    face = talking(24, size=(112, 112), at=(56, 60), edge=60)
    for video, track in (("aaa", 1), ("aaa", 2), ("bbb", 1)):
        write_pictures(tmp_path / "faces" / "A.J._Buckley" / "1.6" / video / str(track), face, first=50)
    write_pictures(tmp_path / "faces" / "Abe" / "1.6" / "ccc" / "1", face, first=25, step=25)
    store = prepare("vox", tmp_path / "faces", tmp_path / "store")
    found = by_source(store)
    assert {clip[0] for file, clips in found.items() for clip in clips if "aaa" in file} == {"train"}
    assert found["A.J._Buckley/1.6/bbb/1"] == [("test", "talk", 24, 2)]
    assert found["Abe/1.6/ccc/1"] == [("train", "talk", 24, 1)]  # every 25th frame: one a second
    assert store.people == ("A.J._Buckley", "Abe")
    assert store.centring == "4 left alone"


def test_plain_videos_of_speakers_are_centred_and_those_without_a_face_left_out(tmp_path: Path) -> None:
    for name in ("ann/talk one", "ann/talk two", "bob/x"):
        write_frames(tmp_path / "vox" / f"{name}.mp4", talking(30, size=(320, 180), at=(240, 90)))
    write_video(tmp_path / "vox" / "bob" / "wall.mp4", 30, size=(320, 180))
    two = talking(30, size=(320, 180), at=(240, 90))
    two[15:] = talking(15, size=(320, 180), at=(70, 90))
    write_frames(tmp_path / "vox" / "bob" / "cut.mp4", two)
    assert recognise(tmp_path / "vox") is None  # such folders may be of anything: they are not called speakers
    store = prepare("vox", tmp_path / "vox", tmp_path / "store")
    reasons = dict(store.left_out)
    assert reasons["bob/wall.mp4"].startswith("face found in 0 of")
    assert "box jumps" in reasons["bob/cut.mp4"]
    assert store.centring == "3 face"
    assert {file: clips[0][0] for file, clips in by_source(store).items()} == {
        "ann/talk one.mp4": "train",
        "ann/talk two.mp4": "test",
        "bob/x.mp4": "train",
    }
    assert store.frames[:, 33:38, 33:38].mean() > 150
    whole = prepare("vox", tmp_path / "vox", tmp_path / "plain", config=PrepareConfig(centring="none"))
    assert whole.centring == "5 central square"


def test_a_list_picks_speakers_and_clips(tmp_path: Path) -> None:
    for name in ("id1/a", "id1/b", "id2/c", "id2/d", "id3/e"):
        write_video(tmp_path / "vox" / f"{name}.mp4", 30, size=(32, 32))
    (tmp_path / "list.txt").write_text("# speakers, then clips\nid1\n./id2/d.mp4\n\n")
    store = prepare("vox", tmp_path / "vox", tmp_path / "store", picks=tmp_path / "list.txt")
    assert sorted(by_source(store)) == ["id1/a.mp4", "id1/b.mp4", "id2/d.mp4"]
    assert store.left_out == (("2 clips", "not on the list list.txt"),)
    (tmp_path / "list.txt").write_text("id1\nid9\n")
    with pytest.raises(UserError, match=r"1 of 3 files cannot be used as vox \(id9: on the list list.txt, not in"):
        prepare("vox", tmp_path / "vox", tmp_path / "other", picks=tmp_path / "list.txt")


def test_no_take_is_on_both_sides_and_no_frame_in_two_clips(tmp_path: Path) -> None:
    mug_tree(tmp_path / "mug")
    for name in ("id1#a#1#30", "id1#a#31#60", "id1#b#1#30", "id2#c#1#90", "id2#c#91#180"):
        write_video(tmp_path / "vox" / f"{name}.mp4", 30 if "id1" in name else 90, size=(32, 32))
    weizmann_videos(tmp_path / "weizmann")
    (tmp_path / "synaction").mkdir()
    for index in range(15):
        np.save(tmp_path / "synaction" / f"0_0_0_{index}.npy", np.zeros((20, 71, 71, 3), dtype=np.uint8))
    for dataset in ("mug", "vox", "weizmann", "synaction"):
        store = prepare(dataset, tmp_path / dataset, tmp_path / f"store-{dataset}")
        assert {clip.split for clip in store.clips} == {"train", "test"}, dataset
        rows = np.concatenate([np.arange(clip.start, clip.start + clip.num_frames) for clip in store.clips])
        assert len(np.unique(rows)) == len(rows), dataset
        both = {clip.source for clip in store.split("train")} & {clip.source for clip in store.split("test")}
        # The supplement cuts each Weizmann video in time; of a speaker with one video the last fifth is held out.
        cut_in_time = {"weizmann": {Path(file).name for file in both}, "vox": {"id2#c#91#180.mp4"}}
        assert {Path(file).name for file in both} == cut_in_time.get(dataset, set()), dataset


def test_names_of_another_dataset_are_told_with_every_files_reason(tmp_path: Path) -> None:
    write_video(tmp_path / "films" / "holiday.mp4", 20, size=(32, 32))
    (tmp_path / "films" / "empty.mp4").write_bytes(b"")
    found = inspect(tmp_path / "films", "weizmann")
    assert "2 of 2 files cannot be used as weizmann" in found.problem
    assert dict(found.rejected) == {
        "empty.mp4": "the file is empty; the name is not understood",
        "holiday.mp4": "the name is not understood",
    }


def test_every_bad_file_has_its_reason(real_folder) -> None:
    found = inspect(real_folder("bad"))
    reasons = dict(found.rejected)
    expected = {
        "empty.mp4": "the file is empty",
        "not_a_video.mp4": "not a video",
        "truncated.mp4": "not a video, or cut off",
        "three_frames.avi": "too short: 3 frames, a window needs 10",
        "flipped_bytes.avi": "damaged after",
    }
    assert set(reasons) == set(expected)
    assert all(reasons[file].startswith(reason) for file, reason in expected.items()), reasons
    assert found.problem


def test_bad_files_among_good_ones_are_listed_and_left_out(real_folder, tmp_path: Path) -> None:
    good, bad = real_folder("weizmann"), real_folder("bad")
    source = tmp_path / "mixed"
    source.mkdir()
    for file in sorted(good.iterdir())[:6]:
        (source / file.name).symlink_to(file)
    for file, name in (("flipped_bytes.avi", "person09_jack.avi"), ("three_frames.avi", "person09_bend.avi")):
        (source / name).symlink_to(bad / file)
    store = prepare("weizmann", source, tmp_path / "store", max_bad_share=0.3)
    assert [file for file, _ in store.rejected] == ["person09_bend.avi", "person09_jack.avi"]
    assert len({clip.source for clip in store.clips}) == 6


def test_a_folder_without_videos_is_told(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("to come")
    with pytest.raises(UserError, match="holds no video; give the folder that holds the videos"):
        inspect(tmp_path)
    with pytest.raises(UserError, match="does not exist; give the folder that holds the videos"):
        inspect(tmp_path / "nowhere")
