"""Videos and clip stores that tests write."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tsvan.data.datasets import rules
from tsvan.data.raw.filenames import identify
from tsvan.data.splits import Source
from tsvan.data.store import ClipStore
from tsvan.data.store_writer import StoreWriter


def write_video(path: Path, num_frames: int, *, rate: int = 25, size: tuple[int, int] = (96, 80)) -> Path:
    """Lossless video of (width, height) `size`; each of frame t's pixels is (4 t, 128, 255 - 4 t)."""
    import av  # stores are tested where there is no PyAV, too

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


def write_frames(path: Path, frames: np.ndarray, *, rate: int = 25) -> Path:
    """Encode frames (T, H, W, 3): FFV1 in .avi, H.264 in .mp4."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    codec, pixels = ("ffv1", "bgr0") if path.suffix == ".avi" else ("libx264", "yuv420p")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options={} if codec == "ffv1" else {"crf": "12"})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path


def write_pictures(folder: Path, frames: np.ndarray, *, first: int = 0, step: int = 1) -> Path:
    """A folder of JPEG pictures, numbered from `first`."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"img_{first + number * step:05d}.jpg", quality=92)
    return folder


def drawn_face(edge: int) -> np.ndarray:
    """A face as simple as a cascade accepts, (edge * 6 // 5, edge, 3); red where it is."""
    picture = Image.new("L", (100, 120), 90)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((8, 2, 92, 118), fill=205)
    draw.ellipse((8, -20, 92, 30), fill=60)
    for x in (32, 68):
        draw.rectangle((x - 15, 38, x + 15, 43), fill=95)
        draw.ellipse((x - 13, 46, x + 13, 60), fill=150)
        draw.ellipse((x - 7, 47, x + 7, 60), fill=40)
    draw.polygon([(50, 50), (42, 80), (58, 80)], fill=185)
    draw.rectangle((43, 79, 57, 82), fill=130)
    draw.ellipse((33, 90, 67, 100), fill=110)
    smooth = picture.filter(ImageFilter.GaussianBlur(2.0)).resize((edge, edge * 6 // 5))
    return np.repeat(np.asarray(smooth)[..., None], 3, axis=2)


def talking(num_frames: int, *, size: tuple[int, int], at: tuple[int, int], edge: int = 90) -> np.ndarray:
    """Frames of (width, height) `size` with a face whose centre is `at`, swaying by 4 pixels."""
    width, height = size
    frames = np.full((num_frames, height, width, 3), 120, dtype=np.uint8)
    face = drawn_face(edge)
    for number, frame in enumerate(frames):
        left = at[0] - edge // 2 + round(4 * np.sin(number / 4))
        top = at[1] - len(face) // 2
        frame[top : top + len(face), left : left + edge] = face
    return frames


def walking(num_frames: int, *, speed: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    """Frames (T, 144, 180, 3) of a bright figure of 20 x 70 pixels that crosses a dim room; its masks (T, 144, 180)."""
    room = np.random.default_rng(0).integers(40, 60, size=(144, 180, 3), dtype=np.uint8)
    frames = np.repeat(room[None], num_frames, axis=0)
    masks = np.zeros((num_frames, 144, 180), dtype=bool)
    for number in range(num_frames):
        left = round(30 + speed * number)
        masks[number, 50:120, left : left + 20] = True
    frames[masks] = 220
    return frames, masks
