"""Small videos encoded on the spot, and the real ones where they are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from tsvan.data.datasets import rules
from tsvan.data.names import identify
from tsvan.data.splits import Source
from tsvan.data.store import ClipStore
from tsvan.data.writing import StoreWriter


def write_video(path: Path, num_frames: int, *, rate: int = 25, size: tuple[int, int] = (96, 80)) -> Path:
    """Lossless video of (width, height) `size`; each of frame t's pixels is (4 t, 128, 255 - 4 t)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec, pixels = ("ffv1", "bgr0") if path.suffix in (".avi", ".mkv") else ("libx264rgb", "rgb24")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={} if codec == "ffv1" else {"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        for t in range(num_frames):
            frame = np.full((size[1], size[0], 3), (4 * t, 128, 255 - 4 * t), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def write_store(dataset: str, out: Path, files: dict[str, int]) -> ClipStore:
    """A store whose frame in row r is filled with r mod 256, but for a ramp over its columns in blue."""
    found = rules(dataset)
    row = 0
    with StoreWriter(found, out, "synthetic") as writer:
        for name, num_frames in files.items():
            frames = np.zeros((num_frames, found.side, found.side, 3), dtype=np.uint8)
            frames[..., 0] = (np.arange(row, row + num_frames) % 256)[:, None, None]
            frames[..., 1] = np.arange(found.side)[:, None]
            frames[..., 2] = np.arange(found.side)
            writer.add(Source(name, identify(found, name), num_frames, 25.0, "0" * 64), frames)
            row += num_frames
        return writer.finish()


@pytest.fixture
def real_folder(shared_data: Path) -> Callable[[str], Path]:
    """A folder of real videos by its name; skips where there is none."""
    return lambda name: shared_data / name
