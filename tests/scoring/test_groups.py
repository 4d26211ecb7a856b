from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tsvan.roll_out import latents
from tsvan.scoring.groups import GROUPS, group_size, sample_group
from tsvan.validation import UserError


@pytest.mark.parametrize(
    ("num_classes", "sizes"),
    [
        (1, {"validation": 1_024, "confirm": 1_024, "report": 9_000}),
        (10, {"validation": 1_024, "confirm": 1_024, "report": 9_000}),
        (20, {"validation": 1_024, "confirm": 1_024, "report": 18_000}),
        (40, {"validation": 1_280, "confirm": 1_280, "report": 36_000}),
    ],
)
def test_sizes_are_the_specified_ones(num_classes: int, sizes: dict[str, int]) -> None:
    assert {name: group_size(name, num_classes) for name in GROUPS} == sizes
    assert {name: sample_group(name, num_classes).num_clips for name in GROUPS} == sizes


def test_no_two_groups_share_a_seed() -> None:
    seeds = [set(sample_group(name, 10).seeds.tolist()) for name in GROUPS]
    assert [len(group) for group in seeds] == [1_024, 1_024, 9_000]
    assert all(not one & other for one, other in itertools.combinations(seeds, 2))


def test_no_two_groups_share_a_latent() -> None:
    drawn = torch.cat([latents(sample_group(name, 10, 50).seeds, 8, 4, 11)[0] for name in GROUPS])
    assert len(torch.unique(drawn, dim=0)) == 3 * 50


def test_every_class_is_asked_for_equally_often() -> None:
    counts = np.bincount(sample_group("validation", 10).labels, minlength=10)
    assert counts.sum() == 1_024
    assert counts.max() - counts.min() == 1


def test_a_group_is_the_same_every_time_and_a_short_one_begins_a_long_one() -> None:
    short, long = sample_group("report", 6, 8), sample_group("report", 6, 100)
    assert np.array_equal(short.seeds, long.seeds[:8])
    assert np.array_equal(short.labels, long.labels[:8])
    assert short.seeds.dtype == short.labels.dtype == np.int64


def test_wrong_use_is_one_line() -> None:
    with pytest.raises(UserError, match="unknown sample group 'reports'; did you mean 'report'"):
        sample_group("reports", 4)
    with pytest.raises(UserError, match="got 1 for 'confirm'"):
        sample_group("confirm", 4, 1)
