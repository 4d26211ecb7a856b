"""Clips as files that people look at: mp4, gif, contact sheet."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from tsvan.files import replacing

Pixels = NDArray[np.uint8]
FPS = 12
GAP = 2  # pixels between the tiles of a sheet


def to_uint8(clips: Tensor) -> Pixels:
    """Convert clips (B, 3, T, H, W), float in [-1, 1], to (B, T, H, W, 3) uint8."""
    scaled = ((clips.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(scaled.permute(0, 2, 3, 4, 1).cpu().numpy())


def contact_sheet(tiles: Pixels) -> Pixels:
    """Lay tiles (R, C, H, W, 3) out as one picture (H', W', 3), with a white gap between them; of clips, one a row."""
    rows, columns, height, width, _ = tiles.shape
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 255, np.uint8)
    for row in range(rows):
        for column in range(columns):
            y, x = GAP + row * (height + GAP), GAP + column * (width + GAP)
            sheet[y : y + height, x : x + width] = tiles[row, column]
    return sheet


def mosaic(clips: Pixels, columns: int) -> Pixels:
    """Join many clips (N, T, H, W, 3) to one that plays them side by side, (T, H', W', 3); empty places are white."""
    count, frames = clips.shape[:2]
    rows = -(-count // columns)
    padded = np.full((rows * columns, *clips.shape[1:]), 255, np.uint8)
    padded[:count] = clips
    grid = padded.reshape(rows, columns, *clips.shape[1:])
    return np.stack([contact_sheet(grid[:, :, t]) for t in range(frames)])


def write_png(path: Path, image: Pixels) -> None:
    """Write a picture (H, W, 3) uint8 as a PNG file."""
    with replacing(path) as temporary:
        Image.fromarray(image).save(temporary, format="png")


def write_gif(path: Path, clip: Pixels, fps: int = FPS, scale: int = 1) -> None:
    """Write a clip (T, H, W, 3) uint8 as an endless GIF."""
    frames = [Image.fromarray(frame) for frame in _enlarge(clip, scale)]
    with replacing(path) as temporary:
        frames[0].save(
            temporary, format="gif", save_all=True, append_images=frames[1:], duration=1000 // fps, loop=0
        )


def write_mp4(path: Path, clip: Pixels, fps: int = FPS, scale: int = 1) -> None:
    """Write a clip (T, H, W, 3) uint8 as H.264 in MP4, which browsers play. Odd sides lose their last row or column."""
    import av  # only this needs it: pictures are made where there is no PyAV, too

    clip = _enlarge(clip, scale)
    height, width = clip.shape[1] // 2 * 2, clip.shape[2] // 2 * 2
    options = {"movflags": "+faststart"}
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=Fraction(fps), options={"crf": "16", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in clip:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())


def _enlarge(clip: Pixels, scale: int) -> Pixels:
    return clip if scale == 1 else clip.repeat(scale, axis=1).repeat(scale, axis=2)
