"""Clips are read as a player shows them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from tests.data.films import Frames, cut_by_edit_list, film, moving_disc
from tsvan.data.raw.footage import UnreadableError, open_footage

ONE = 1 << 16
W = 1 << 30


def read(path: Path) -> Frames:
    footage, _ = open_footage(path.parent, path.name, "THWC")
    frames = np.stack(list(footage.frames()))
    assert footage.size == frames.shape[2:0:-1]
    gray = np.stack(list(footage.frames(gray=True)))
    assert gray.shape == frames.shape[:3]
    return frames


def close(found: Frames, expected: Frames) -> bool:
    return found.shape == expected.shape and float(np.abs(found.astype(int) - expected.astype(int)).mean()) < 3


# What a matrix does to a frame as it is coded; (a, b, u, c, d, v, x, y, w) in 16.16, the last column in 2.30.
TURNS = {
    "as it is": ((ONE, 0, 0, 0, ONE, 0, 0, 0, W), lambda frame: frame),
    "a quarter, clockwise": ((0, ONE, 0, -ONE, 0, 0, 0, 0, W), lambda frame: np.rot90(frame, -1)),
    "a half": ((-ONE, 0, 0, 0, -ONE, 0, 0, 0, W), lambda frame: np.rot90(frame, 2)),
    "a quarter, counterclockwise": ((0, -ONE, 0, ONE, 0, 0, 0, 0, W), np.rot90),
    "left and right": ((-ONE, 0, 0, 0, ONE, 0, 0, 0, W), lambda frame: frame[:, ::-1]),
    "top and bottom": ((ONE, 0, 0, 0, -ONE, 0, 0, 0, W), lambda frame: frame[::-1]),
    "along the diagonal": ((0, ONE, 0, ONE, 0, 0, 0, 0, W), lambda frame: np.swapaxes(frame, 0, 1)),
    "along the other diagonal": (
        (0, -ONE, 0, -ONE, 0, 0, 0, 0, W),
        lambda frame: np.rot90(np.swapaxes(frame, 0, 1), 2),
    ),
}


@pytest.mark.parametrize("name", TURNS)
def test_a_display_matrix_turns_or_mirrors(tmp_path: Path, name: str):
    matrix, shown = TURNS[name]
    frames = moving_disc(12, 48, 64)
    found = read(film(tmp_path / "a.mp4", frames, matrix=matrix))
    assert close(found, np.stack([shown(frame) for frame in frames]))


def test_a_turn_by_no_quarter_is_told(tmp_path: Path):
    slant = round(ONE * 0.5**0.5)
    film(tmp_path / "a.mp4", moving_disc(12), matrix=(slant, slant, 0, -slant, slant, 0, 0, 0, W))
    with pytest.raises(UnreadableError, match="turned by 315 degrees; only quarter turns are read"):
        read(tmp_path / "a.mp4")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
@pytest.mark.parametrize(("aspect", "coded"), [(Fraction(2, 1), (32, 64)), (Fraction(1, 2), (64, 32))])
def test_pixels_that_are_not_square_are_made_square(
    tmp_path: Path, ending: str, aspect: Fraction, coded: tuple[int, int]
):
    upright = moving_disc(12)
    narrow = upright[:, :: 64 // coded[1], :: 64 // coded[0]]
    assert close(read(film(tmp_path / f"a.{ending}", narrow, pixel_aspect=aspect)), upright)


def test_wide_pixels_are_made_square_before_the_turn(tmp_path: Path):
    upright = moving_disc(12)
    coded = np.rot90(upright, axes=(1, 2))[:, :, ::2]
    found = read(film(tmp_path / "a.mp4", coded, matrix=(0, ONE, 0, -ONE, 0, 0, 0, 0, W), pixel_aspect=Fraction(2)))
    assert close(found, upright)


def test_pixels_of_an_absurd_shape_are_told(tmp_path: Path):
    film(tmp_path / "a.mkv", moving_disc(12), pixel_aspect=Fraction(40, 1))
    with pytest.raises(UnreadableError, match="its pixels claim to be 40 x 1"):
        read(tmp_path / "a.mkv")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_cover_picture_before_the_video_is_not_the_video(tmp_path: Path, ending: str):
    frames = moving_disc(12)
    film(tmp_path / f"a.{ending}", frames, cover=np.full((96, 96, 3), 200, dtype=np.uint8))
    assert close(read(tmp_path / f"a.{ending}"), frames)


def test_an_edit_list_shows_what_it_lists(tmp_path: Path):
    frames = moving_disc(40)
    path = cut_by_edit_list(film(tmp_path / "a.mp4", frames), first=10, num_frames=20)
    assert close(read(path), frames[10:30])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_their_exif_says(tmp_path: Path, orientation: int):
    shown = moving_disc(1, 48, 64)[0]
    back = {
        1: shown,
        2: shown[:, ::-1],
        3: np.rot90(shown, 2),
        4: shown[::-1],
        5: np.swapaxes(shown, 0, 1),
        6: np.rot90(shown, 1),
        7: np.rot90(np.swapaxes(shown, 0, 1), 2),
        8: np.rot90(shown, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for number in range(3):
        Image.fromarray(np.ascontiguousarray(back)).save(tmp_path / f"{number}.jpg", exif=exif, quality=97)
    footage, _ = open_footage(tmp_path, ".", "THWC", pictures=("0.jpg", "1.jpg", "2.jpg"))
    assert footage.size == (48, 64)
    assert close(next(footage.frames()), shown)
    assert next(footage.frames(gray=True)).shape == (64, 48)


def test_pictures_of_other_kinds_are_shown_as_a_viewer_does(tmp_path: Path):
    see_through = np.zeros((8, 8, 4), dtype=np.uint8)
    see_through[..., :3], see_through[:4, :, 3] = (90, 200, 30), 255
    Image.fromarray(see_through).save(tmp_path / "0.png")
    deep = Image.fromarray(np.full((8, 8), 180 << 8, dtype=np.uint16))
    deep.save(tmp_path / "1.png")
    footage, _ = open_footage(tmp_path, ".", "THWC", pictures=("0.png", "1.png"))
    first, second = footage.frames()
    assert first[0, 0].tolist() == [90, 200, 30]
    assert first[7, 7].tolist() == [0, 0, 0]
    assert second[0, 0].tolist() == [180, 180, 180]
