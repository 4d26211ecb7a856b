"""From boxes to squares, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tsvan.data.config import PrepareConfig
from tsvan.data.raw.boxes import LeftOutError, actor_path, central, face_square, mask_boxes
from tsvan.validation import UserError, build

NO_MARGIN = PrepareConfig(face_margin=0.0, actor_margin=0.0)
FRAME = (320, 240)


def steady(count: int, box: tuple[float, ...] = (100, 60, 80, 80)) -> np.ndarray:
    return np.repeat(np.array([box], dtype=float), count, axis=0)


def test_the_central_square() -> None:
    assert central((320, 240)).tolist() == [[40, 0, 240]]


def test_a_steady_face_has_its_box_and_margin() -> None:
    assert face_square(steady(10), FRAME, NO_MARGIN).tolist() == [[100, 60, 80]]
    # 25% of 80 on each side
    assert face_square(steady(10), FRAME, PrepareConfig(face_margin=0.25)).tolist() == [[80, 40, 120]]


def test_a_square_stops_at_the_frames_rim_and_is_never_larger_than_the_frame() -> None:
    assert face_square(steady(10, (0, 150, 80, 80)), FRAME, PrepareConfig(face_margin=0.5)).tolist() == [[0, 80, 160]]
    assert face_square(steady(10, (0, 0, 240, 240)), FRAME, PrepareConfig(face_margin=2.0)).tolist() == [[0, 0, 240]]


def test_a_single_false_detection_has_no_say() -> None:
    found = steady(12)
    found[5] = (10, 200, 30, 30)
    assert face_square(found, FRAME, NO_MARGIN).tolist() == [[100, 60, 80]]


def test_a_jump_leaves_the_clip_out_and_a_slow_move_does_not() -> None:
    found = steady(12)
    found[6:, 0] += 41  # more than half of 80
    with pytest.raises(LeftOutError, match=r"the face's box jumps by 0\.5 of its size"):
        face_square(found, FRAME, NO_MARGIN)
    assert face_square(found, FRAME, PrepareConfig(max_jump=0.6)).shape == (1, 3)
    found = steady(12)
    found[:, 0] += np.linspace(0, 41, 12)
    assert face_square(found, FRAME, NO_MARGIN).shape == (1, 3)


def test_a_face_seen_too_rarely_leaves_the_clip_out() -> None:
    found = steady(10)
    found[2:] = np.nan
    with pytest.raises(LeftOutError, match="face found in 2 of 10 frames looked at"):
        face_square(found, FRAME, NO_MARGIN)
    assert face_square(found, FRAME, PrepareConfig(face_margin=0.0, min_seen=0.2)).tolist() == [[100, 60, 80]]


def test_an_actor_in_place_has_one_square_and_a_walking_one_is_followed() -> None:
    still = steady(20)
    still[:, 0] += np.tile([0, 10], 10)
    assert actor_path(still, FRAME, NO_MARGIN).shape == (1, 3)
    moving = steady(50, (0, 60, 40, 80))
    moving[:, 0] = 60 + 3 * np.arange(50)
    path = actor_path(moving, FRAME, NO_MARGIN)
    assert path.shape == (50, 3)
    assert path[:, 2].tolist() == [80] * 50
    # The centre of the square is that of the box, 20 right of its left side.
    assert np.abs(path[5:45, 0] + 40 - (moving[5:45, 0] + 20)).max() < 1


def test_frames_without_the_actor_are_filled_in() -> None:
    moving = steady(50, (0, 60, 40, 80))
    moving[:, 0] = 60 + 3 * np.arange(50)
    gaps = moving.copy()
    gaps[20:25] = np.nan
    assert np.abs(actor_path(gaps, FRAME, NO_MARGIN) - actor_path(moving, FRAME, NO_MARGIN)).max() < 2


def test_the_box_of_a_mask_ignores_a_stray_pixel() -> None:
    masks = np.zeros((2, 50, 60), dtype=bool)
    masks[0, 10:40, 20:40] = True
    masks[0, 0, 0] = True
    boxes = mask_boxes(masks)
    assert boxes[0].tolist() == [20, 10, 20, 30]
    assert np.isnan(boxes[1]).all()


def test_the_config_is_strict() -> None:
    with pytest.raises(UserError, match=r"unknown key 'face_margn'; did you mean 'face_margin'"):
        build(PrepareConfig, {"face_margn": 0.1}, "--set")
    with pytest.raises(UserError, match="split"):
        build(PrepareConfig, {"split": "mine"}, "--set")
