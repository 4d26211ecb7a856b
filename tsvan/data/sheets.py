"""Contact sheets: clips of a store, and raw clips before and after they are centred."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from tsvan.data.datasets import MIN_FRAMES
from tsvan.data.raw.reading import SHOT, Reading
from tsvan.data.store import ClipStore

_CAPTION = 14
_AFTER = 5
_BEFORE = 3


def store_sheet(store: ClipStore, num_clips: int) -> Image.Image:
    """Draw clips spread over the store, one a row: the first ten frames at the clip's own step."""
    picked = np.unique(np.linspace(0, len(store.clips) - 1, min(num_clips, len(store.clips))).round().astype(int))
    rows = []
    for number in picked:
        clip = store.clips[number]
        frames = store.frames[clip.start + clip.frame_step * np.arange(MIN_FRAMES)]  # (T, S, S, 3)
        rows.append(np.concatenate(list(frames), axis=1))
    return Image.fromarray(np.concatenate(rows, axis=0))


def centring_sheet(readings: Sequence[Reading]) -> Image.Image:
    """Draw one clip a row: uncut frames with the square that is cut out, then frames as the store would have them."""
    height = SHOT + _CAPTION
    sheet = Image.new("RGB", ((_BEFORE + _AFTER) * SHOT + 8, max(1, len(readings)) * height), (32, 32, 32))
    draw = ImageDraw.Draw(sheet)
    for row, reading in enumerate(readings):
        top = row * height
        draw.text((4, top + 1), f"{reading.source.file}: {reading.how}", fill=(255, 255, 255))
        for place, frame in enumerate(reading.before):
            sheet.paste(Image.fromarray(frame), (place * SHOT, top + _CAPTION))
        for place, frame in enumerate(reading.frames[:: max(1, len(reading.frames) // _AFTER)][:_AFTER]):
            cell = Image.fromarray(frame).resize((SHOT, SHOT), Image.Resampling.NEAREST)
            sheet.paste(cell, ((_BEFORE + place) * SHOT + 8, top + _CAPTION))
    return sheet
