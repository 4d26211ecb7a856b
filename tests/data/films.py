"""Videos as phones, tools and hostile hands write them, by real encoders."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition

Frames = npt.NDArray[np.uint8]


def moving_disc(num_frames: int, width: int = 64, height: int = 64) -> Frames:
    """(T, H, W, 3): a bright disc that moves over a gradient; no two sides look alike."""
    y, x = np.mgrid[0:height, 0:width]
    frames = np.zeros((num_frames, height, width, 3), dtype=np.uint8)
    frames[..., 0] = x * 255 // max(width - 1, 1)
    frames[..., 1] = y * 120 // max(height - 1, 1)
    for number, frame in enumerate(frames):
        left = width / 2 + width / 4 * np.cos(number / 5)
        frame[(x - left) ** 2 + (y - height / 4) ** 2 < (min(width, height) / 8) ** 2] = 255
    return frames


def film(
    path: Path,
    frames: Frames,
    *,
    rate: int = 25,
    matrix: Sequence[int] | None = None,
    pixel_aspect: Fraction | None = None,
    cover: Frames | None = None,
) -> Path:
    """Encode frames (T, H, W, 3) nearly without loss, in H.264.

    Args:
        path: its ending is the container.
        frames: as they are coded.
        rate: in the header.
        matrix: the display matrix, nine numbers.
        pixel_aspect: width of a pixel over its height.
        cover: (H, W, 3), a picture in a stream before the video's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture: Any = None
        if cover is not None:
            picture = container.add_stream("mjpeg", rate=1)
            picture.height, picture.width = cover.shape[:2]
            picture.pix_fmt = "yuvj420p"
            picture.disposition = Disposition.attached_pic
        stream: Any = container.add_stream("libx264", rate=rate, options={"crf": "4", "bf": "0", "preset": "ultrafast"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv444p"
        if pixel_aspect is not None:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if matrix is not None:
            stream.set_display_matrix(list(matrix))
        if picture is not None:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(cover, format="rgb24")))
            container.mux(picture.encode())
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path


def cut_by_edit_list(path: Path, first: int, num_frames: int, rate: int = 25) -> Path:
    """Make an MP4's edit list show frames [first, first + num_frames); so programs cut without encoding."""
    content = bytearray(path.read_bytes())
    timescale = struct.unpack_from(">I", content, content.index(b"mdhd") + 16)[0]
    of_film = struct.unpack_from(">I", content, content.index(b"mvhd") + 16)[0]
    at = content.index(b"elst") + 12
    start = struct.unpack_from(">i", content, at + 4)[0]
    struct.pack_into(">Ii", content, at, num_frames * of_film // rate, start + first * timescale // rate)
    path.write_bytes(content)
    return path
