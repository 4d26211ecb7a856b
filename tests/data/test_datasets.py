from __future__ import annotations

import pytest

from tsvan.data.datasets import DATASETS, rules, span
from tsvan.validation import UserError


def test_every_dataset_has_rules_with_the_published_numbers_of_classes_and_sides():
    found = {name: (len(rules(name).classes), rules(name).side) for name in DATASETS}
    assert found == {"weizmann": (10, 69), "mug": (6, 71), "synaction": (20, 71), "vox": (1, 71)}


def test_classes_are_in_alphabetical_order():
    for name in DATASETS:
        assert list(rules(name).classes) == sorted(rules(name).classes)


@pytest.mark.parametrize(
    ("dataset", "name", "step"),
    [
        ("weizmann", "run", 1),
        ("weizmann", "side", 1),
        ("weizmann", "skip", 1),
        ("weizmann", "walk", 2),
        ("mug", "fear", 1),
        ("synaction", "cheer", 2),
        ("synaction", "wave", 4),
        ("synaction", "pitch", 6),
    ],
)
def test_steps_go_by_class(dataset: str, name: str, step: int):
    assert rules(dataset).frame_step(name, rate=50.0) == step


@pytest.mark.parametrize(
    ("rate", "step"), [(25.0, 2), (29.97, 2), (10.0, 1), (5.0, 1), (50.0, 4), (60.0, 5), (None, 2)]
)
def test_vox_step_comes_near_12_5_frames_a_second(rate: float | None, step: int):
    assert rules("vox").frame_step("talk", rate) == step


def test_a_window_of_ten_frames_at_step_two_covers_nineteen():
    assert span(10, 2) == 19


def test_an_unknown_dataset_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'weizmann'"):
        rules("wiezmann")
