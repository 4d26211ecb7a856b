from __future__ import annotations

import pytest

from tsvan.data.datasets import rules
from tsvan.data.raw.filenames import Identity, IgnoredError, UnnamedError, identify, natural


@pytest.mark.parametrize(
    ("dataset", "file", "identity"),
    [
        ("weizmann", "daria_bend.avi", Identity("daria", "bend")),
        ("weizmann", "sub/person_1_wave2.avi", Identity("person_1", "wave2")),
        ("weizmann", "lena_run1.avi", Identity("lena", "run", take="1")),
        ("mug", "002_anger_take001.mp4", Identity("002", "anger", take="take001")),
        ("mug", "002/Anger/take001.mp4", Identity("002", "anger", take="take001")),
        ("mug", "002_anger_1_3.npy", Identity("002", "anger", take="1", index=3)),
        ("synaction", "4_walk_1_12.npy", Identity("4", "walk", take="1", index=12)),
        ("synaction", "ann_19_left_0.mp4", Identity("ann", "wave", take="left", index=0)),
        ("vox", "id1#a-_b#000010#000200.mp4", Identity("id1", "talk", "a-_b", 10, seconds=7.6)),
        ("vox", "id1/anything.mp4", Identity("id1", "talk", take="anything")),
        ("vox", "id1/xyz/00001.mp4", Identity("id1", "talk", take="xyz")),
        ("vox", "train/id1/anything.mp4", Identity("id1", "talk", take="anything")),
        ("vox", "dev/mp4/id1/xyz/00001.mp4", Identity("id1", "talk", take="xyz")),
        ("vox", "faces/A.J._Buckley/1.6/xyz/2", Identity("A.J._Buckley", "talk", take="xyz", index=2)),
        ("vox", "A.J._Buckley/1.6/xyz", Identity("A.J._Buckley", "talk", take="xyz")),
        ("mug", "subjects3/002/session1/anger/take003", Identity("002", "anger", take="session1/take003")),
        ("mug", "subjects3/002/anger/take003", Identity("002", "anger", take="take003")),
        ("weizmann", "run.zip/lena_run2.avi", Identity("lena", "run", take="2")),
    ],
)
def test_names_are_read(dataset: str, file: str, identity: Identity):
    assert identify(rules(dataset), file) == identity


@pytest.mark.parametrize(
    ("dataset", "file", "reason"),
    [
        ("weizmann", "bend.avi", "not understood"),
        ("weizmann", "daria_bned.avi", "unknown class 'bned'; did you mean 'bend'"),
        ("weizmann", "daria_jack2x.avi", "unknown class"),
        ("mug", "002_anger.mp4", "not understood"),
        ("synaction", "4_walk_1.npy", "not understood"),
        ("synaction", "4_20_1_2.npy", "not an index from 0 to 19"),
        ("vox", "talk.mp4", "not understood"),
        ("vox", "test/talk.mp4", "not understood"),
    ],
)
def test_other_names_have_a_reason(dataset: str, file: str, reason: str):
    with pytest.raises(UnnamedError, match=reason):
        identify(rules(dataset), file)


def test_a_neutral_take_is_no_part_of_the_task():
    with pytest.raises(IgnoredError, match="'neutral' is not one of the classes"):
        identify(rules("mug"), "002_neutral_1.mp4")


def test_numbers_within_names_sort_as_numbers():
    assert sorted(["take10", "take2", "a", "take02"], key=natural) == ["a", "take02", "take2", "take10"]
