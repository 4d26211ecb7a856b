"""A user's own dataset, as a YAML."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tests.data.clips import write_video
from tsvan.data.datasets import (
    DATASETS,
    Centring,
    DatasetRules,
    HeldOut,
    Playback,
    PublishedRow,
    ScorerTraining,
    rules,
)
from tsvan.data.naming import Layout
from tsvan.data.published import published
from tsvan.data.raw.filenames import Identity, UnnamedError, identify
from tsvan.data.raw.fingerprint import fingerprint
from tsvan.data.raw.prepare import prepare
from tsvan.data.splits import Source, cut
from tsvan.data.store import ClipStore, _rules_in
from tsvan.validation import UserError

PLAIN = "name: mine\nlayouts: ['<class>/**/<clip>']\n"


def own(folder: Path, text: str = PLAIN) -> DatasetRules:
    file = folder / "mine.yaml"
    file.write_text(text)
    return rules(str(file))


@pytest.mark.parametrize(
    ("layout", "file", "identity"),
    [
        ("<class>/**/<clip>", "spin/a/b/clip 3.mp4", Identity("", "spin")),
        ("<class>/**/<clip>", "spin/clip 3.mp4", Identity("", "spin")),
        ("**/v_<class>_g<take>_c*", "UCF/Biking/v_Biking_g07_c02.avi", Identity("", "Biking", "07")),
        ("<subject>_<class>", "ann_hand_wave.mov", Identity("ann", "hand_wave")),
        ("<subject>/<class>/<take>_<index>", "s1/jump/t3_12.npy", Identity("s1", "jump", "t3", 12)),
        (r"^(?P<class>[a-z]+)\d+$", "jump12.mkv", Identity("", "jump")),
    ],
)
def test_layouts_are_paths_with_fields(tmp_path: Path, layout: str, file: str, identity: Identity):
    found = own(tmp_path, f"name: mine\nlayouts: ['{layout}']\nclasses: [spin, jump, hand_wave, Biking]\n")
    assert identify(found, file) == identity


def test_a_path_that_no_layout_fits_has_a_reason(tmp_path: Path):
    found = own(tmp_path, PLAIN + "classes: [spin, jump]\n")
    with pytest.raises(UnnamedError, match="not understood"):
        identify(found, "spin.mp4")
    with pytest.raises(UnnamedError, match="unknown class 'spni'; did you mean 'spin'"):
        identify(found, "spni/a.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layouts: ['<clas>/<clip>']", "unknown field 'clas' in the layout '<clas>/<clip>'; did you mean 'class'"),
        ("layouts: ['^(']", "not a valid pattern"),
        ("layouts: ['<clip>']", r"has no <class>, so classes must be the one class of all its clips"),
        ("layouts: ['<class>/<clip>']\nsides: 64", "unknown key 'sides'; did you mean 'side'"),
        ("layouts: ['<class>/<clip>']\nside: 10", "side: input should be greater than or equal to 64, got 10"),
        ("layouts: ['<class>/<clip>']\nheld_out: {by: take}", "needs the field <take> in every layout"),
        ("layouts: ['<class>/<clip>']\nheads: [class x subject]", "needs the field <subject> in every layout"),
        ("layouts: ['<class>/<clip>']\nclasses: [a, b]\nplayback: {steps: {c: 2}}", "unknown class 'c'"),
        ("layouts: ['<class>/<clip>']\npublished: voxx", "published"),
        ("layouts: ['<class>/<clip>']\nplayback: {step: 2, target_rate: 12.5}", "target_rate excludes step"),
        ("layouts: [{pattern: '<class>/<clip>', name_rate: 25}]", "name_rate needs the fields <first> and <last>"),
        ("layouts: ['<class>/<clip>']\nphases: 4\nheld_out: {by: time}", "time and phases > 1 exclude each other"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_key(tmp_path: Path, text: str, message: str):
    with pytest.raises(UserError, match=r"mine\.yaml: ") as told:
        own(tmp_path, f"name: mine\n{text}\n")
    assert message.replace("\\", "") in str(told.value)
    assert "\n" not in str(told.value)


def test_the_documents_example_loads_and_every_key_is_in_its_tables(tmp_path: Path):
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    found = own(tmp_path, re.search(r"```yaml\n(.*?)```", text, re.DOTALL)[1])
    assert identify(found, "ann/jump/monday_003.mp4") == Identity("ann", "jump", "monday")
    assert identify(found, "archive/2019/bob-push_up-t1.mov") == Identity("bob", "push_up", "t1")
    told = set(re.findall(r"[`{ ](\w+)(?=[`:])", text))
    for part in (DatasetRules, Layout, Playback, Centring, HeldOut, PublishedRow, ScorerTraining):
        keys = {item.name for item in fields(part)} - {"standin"}
        assert keys - told - {"by"} == set(), part


def test_a_name_that_ships_is_taken(tmp_path: Path):
    with pytest.raises(UserError, match="'vox' is a dataset that ships; give yours another name"):
        own(tmp_path, "name: vox\nlayouts: ['<class>/<clip>']\n")


def test_the_four_that_ship_can_be_copied_under_another_name(tmp_path: Path):
    for name in DATASETS:
        text = (Path(__file__).parents[2] / "tsvan" / "data" / f"{name}.yaml").read_text()
        copy = own(tmp_path, text.replace(f"name: {name}", "name: mine"))
        assert copy.of_clips() == {**rules(name).of_clips(), "name": "mine"}


def test_it_starts_from_a_published_row_or_from_its_own(tmp_path: Path):
    assert published(own(tmp_path, PLAIN + "published: synaction\n")).loss == published("synaction").loss
    row = "{lambda2: 4, lambda5_lower: 1, lambda5_upper: 9, ngf: 24, content_dim: 128}"
    config = published(own(tmp_path, PLAIN + f"published: {row}\n"))
    assert (config.dataset, config.loss.lambda2, config.model.ngf) == ("mine", 4.0, 24)


def _held_out(found: DatasetRules, files: dict[str, int]) -> list[str]:
    sources = [Source(name, identify(found, name), length, 25.0, "") for name, length in files.items()]
    return [part.source.file for part in cut(found, sources) if part.split == "test"]


def test_files_are_held_out_of_each_class(tmp_path: Path):
    files = {f"{name}/{number}.mp4": 40 for name in ("jump", "spin") for number in range(10)} | {"wave/0.mp4": 40}
    assert _held_out(own(tmp_path), files) == ["jump/8.mp4", "jump/9.mp4", "spin/8.mp4", "spin/9.mp4"]


def test_takes_are_held_out_whole(tmp_path: Path):
    found = own(tmp_path, "name: mine\nlayouts: ['<class>/g<take>_<clip>']\nheld_out: {by: take, one_in: 3}\n")
    files = {f"jump/g{take}_{clip}.mp4": 40 for take in range(3) for clip in range(2)}
    assert _held_out(found, files) == [
        "jump/g2_0.mp4",
        "jump/g2_1.mp4",
    ]


def test_subjects_are_held_out_whole(tmp_path: Path):
    found = own(tmp_path, "name: mine\nlayouts: ['<subject>/<class>_<clip>']\nheld_out: {by: subject, one_in: 4}\n")
    files = {f"s{subject}/jump_{clip}.mp4": 40 for subject in range(4) for clip in range(2)}
    assert _held_out(found, files) == [
        "s3/jump_0.mp4",
        "s3/jump_1.mp4",
    ]


def test_the_end_of_each_file_is_held_out_after_a_window(tmp_path: Path):
    found = own(tmp_path, PLAIN + "playback: {step: 2}\nheld_out: {by: time, one_in: 4}\n")
    source = Source("jump/a.mp4", identify(found, "jump/a.mp4"), 100, 25.0, "")
    # The border is at 75; a window of ten at step 2 covers 19.
    assert [(part.first, part.num_frames, part.split) for part in cut(found, [source])] == [
        (0, 56, "train"),
        (75, 25, "test"),
    ]


def test_its_store_knows_what_it_is(tmp_path: Path):
    for name in ("spin", "jump"):
        for clip in range(2):
            write_video(tmp_path / "raw" / name / f"clip {clip}.avi", 30, size=(64, 64))
    found = own(tmp_path)
    store = prepare(found, tmp_path / "raw", tmp_path / "store")
    assert (store.dataset, store.classes) == ("mine", ("jump", "spin"))
    assert [clip.split for clip in store.clips] == ["train", "test", "train", "test"]
    again = ClipStore.open(tmp_path / "store")
    assert again.rules == found
    changed = own(tmp_path, PLAIN + "heads: [class, playback step]\n")
    assert ClipStore.open(tmp_path / "store", changed).rules == changed  # no clip depends on it
    with pytest.raises(UserError, match=r"was prepared with side=71, the dataset 'mine' now has side=96"):
        ClipStore.open(tmp_path / "store", own(tmp_path, PLAIN + "side: 96\n"))
    with pytest.raises(UserError, match="a clip store of 'mine', not of 'vox'"):
        ClipStore.open(tmp_path / "store", "vox")
    with pytest.raises(UserError, match=r"prepared by another version .*unknown key 'gone'.*; prepare it again"):
        _rules_in(tmp_path / "store", {"name": "mine", "layouts": ["<class>/<clip>"], "gone": 1})
    other = own(tmp_path, PLAIN + "side: 96\n")
    assert fingerprint(found, tmp_path / "raw") != fingerprint(other, tmp_path / "raw")
