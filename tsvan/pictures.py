"""Sheets and films of clips with words on them: one clip a row beside its title, clips side by side under theirs,
random frames, motion masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from tsvan.video import GAP, Pixels, contact_sheet, mosaic

_SIZE = 13  # of the letters, pixels
_MARGIN = 6


def titled_rows(rows: Sequence[tuple[str, Pixels]]) -> Pixels:
    """Lay clips (T, H, W, 3) out, one a row, each behind its title; the sheet is (H', W', 3)."""
    sheet = contact_sheet(np.stack([clip for _, clip in rows]))
    height = rows[0][1].shape[1] + GAP
    font = _font()
    width = max(round(font.getlength(title)) for title, _ in rows) + 2 * _MARGIN
    words = Image.new("RGB", (width, len(sheet)), "white")
    draw = ImageDraw.Draw(words)
    for number, (title, _) in enumerate(rows):
        middle = GAP + number * height + (height - GAP) // 2
        draw.text((_MARGIN, middle), title, fill="black", font=font, anchor="lm")
    return np.concatenate([np.asarray(words), sheet], axis=1)


def titled_films(films: Sequence[tuple[str, Pixels]], columns: int, scale: int = 2) -> Pixels:
    """Lay groups of clips (N, T, H, W, 3) side by side, each group a block of `columns` under its title.

    Returns:
        One film (T, H', W', 3), `scale` times as large.
    """
    return np.concatenate([_block(title, clips, columns, scale) for title, clips in films], axis=2)


def random_frames(clips: Pixels, count: int, seed: int = 0, columns: int = 10) -> Pixels:
    """Draw frames from clips (N, T, H, W, 3) without replacement for a sheet, as in figures 2-6 of the supplement."""
    frames = clips.reshape(-1, *clips.shape[2:])
    count = min(count, len(frames))
    chosen = frames[np.random.default_rng(seed).permutation(len(frames))[:count]]
    rows = -(-count // columns)
    padded = np.full((rows * columns, *frames.shape[1:]), 255, np.uint8)
    padded[:count] = chosen
    return contact_sheet(padded.reshape(rows, columns, *frames.shape[1:]))


def mask_sheet(clip: Pixels, masks: Mapping[int, Tensor]) -> Pixels:
    """Draw a clip (T, H, W, 3), and below it its masks (T, p, p) by pixels of the scale.

    White is moved, black is kept.
    """
    rows = [("frames", clip)]
    side = clip.shape[1]
    for pixels, values in masks.items():
        grey = (values.clamp(0, 1) * 255).round().byte().numpy().repeat(side // pixels, 1).repeat(side // pixels, 2)
        rows.append((f"M, {pixels} x {pixels}", np.repeat(grey[..., None], 3, axis=-1)))
    return titled_rows(rows)


def _block(title: str, clips: Pixels, columns: int, scale: int) -> Pixels:
    film = mosaic(clips, columns).repeat(scale, axis=1).repeat(scale, axis=2)
    font = _font()
    head = Image.new("RGB", (film.shape[2], _SIZE + 2 * _MARGIN), "white")
    words = title
    while words and font.getlength(words) > head.width - 2 * _MARGIN:
        words = words[:-1]
    ImageDraw.Draw(head).text((_MARGIN, head.height // 2), words, fill="black", font=font, anchor="lm")
    still = np.broadcast_to(np.asarray(head), (len(film), head.height, head.width, 3))
    return np.concatenate([still, film], axis=1)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", _SIZE)  # has λ
