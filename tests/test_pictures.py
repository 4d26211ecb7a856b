from __future__ import annotations

import numpy as np
import pytest
import torch

from tsvan.masks import motion_masks
from tsvan.models.fusion import fuse
from tsvan.models.networks import Networks
from tsvan.pictures import mask_sheet, random_frames, titled_films, titled_rows
from tsvan.sampling import generate

SEEDS, LABELS = np.arange(3), np.array([0, 1, 2])


def grey(value: int, frames: int = 4, side: int = 16) -> np.ndarray:
    return np.full((frames, side, side, 3), value, np.uint8)


def test_masks_are_those_that_the_frames_were_made_with(
    tiny_networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: dict[int, list[torch.Tensor]] = {}

    def spy(features, vertical, horizontal, mask):
        used.setdefault(features.shape[-1], []).append(mask[:, 0])
        return fuse(features, vertical, horizontal, mask)

    monkeypatch.setattr("tsvan.models.networks.fuse", spy)
    clips, masks = motion_masks(tiny_networks, SEEDS, LABELS)
    assert list(masks) == [8, 16, 32, 64]
    for pixels, values in masks.items():
        assert values.shape == (3, 10, pixels, pixels)
        assert torch.equal(values, torch.stack(used[pixels][1:], dim=1))  # the first makes a frame of the heat-up
    assert torch.equal(clips, torch.cat([*generate(tiny_networks, SEEDS, LABELS)]))
    assert not any(subnet._forward_hooks for subnet in tiny_networks.motion_decoder.subnets.values())


def test_rows_keep_their_clips_behind_their_titles() -> None:
    sheet = titled_rows([("best λ2=5", grey(10)), ("table 3", grey(200))])
    assert sheet.shape[0] == 2 * (16 + 2) + 2
    assert (sheet[2:18, -18:-2] == 10).all()  # last frame of the first row
    assert (sheet[20:36, -18:-2] == 200).all()
    words = sheet[:, : -4 * 18 - 2]
    assert words.min() < 100  # there is ink
    assert (words[:, :3] == 255).all()


def test_films_stand_side_by_side_under_their_titles() -> None:
    clips = np.stack([grey(10), grey(20), grey(30)])
    film = titled_films([("one", clips), ("other", clips + 100)], columns=2, scale=2)
    block = 2 * (2 * 18 + 2)
    assert film.shape == (4, 2 * (2 * 18 + 2) + 25, 2 * block, 3)
    assert (film[:, 25 + 4 : 25 + 36, 4:36] == 10).all()
    assert (film[:, 25 + 4 : 25 + 36, block + 4 : block + 36] == 110).all()
    assert (film[:, -30:-10, block - 30 : block - 10] == 255).all()  # the empty place


def test_random_frames_are_drawn_once_each_and_the_same_every_time() -> None:
    clips = np.empty((2, 3, 4, 4, 3), np.uint8)
    clips[:] = np.arange(6).reshape(2, 3, 1, 1, 1)
    sheet = random_frames(clips, 6, columns=3)
    values = [int(sheet[3 + 6 * row, 3 + 6 * column, 0]) for row in range(2) for column in range(3)]
    assert sorted(values) == list(range(6))
    assert np.array_equal(sheet, random_frames(clips, 6, columns=3))
    assert random_frames(clips, 40, columns=3).shape == sheet.shape  # no more than there are


def test_masks_are_shown_at_the_size_of_the_frames() -> None:
    masks = {8: torch.zeros(4, 8, 8), 16: torch.ones(4, 16, 16)}
    sheet = mask_sheet(grey(50), masks)
    assert sheet.shape[0] == 3 * 18 + 2
    assert (sheet[20:36, -18:-2] == 0).all()
    assert (sheet[38:54, -18:-2] == 255).all()
