"""What clips cost: seconds and bytes to prepare one, clips a second read from a large store.

    python -m benchmarks.data read --gigabytes 22
    python -m benchmarks.data prepare --dataset vox --source DIR [--repeat 10]
    python -m benchmarks.data prepare --dataset mug --source DIR
    python -m benchmarks.data prepare --dataset synaction

`read` makes a sparse store (its frames are a hole in a file, so it takes no disk; the file's pages go through the same
cache and the same map as written ones) in a temporary folder. `prepare` reads a folder of real video in one process and
says what the whole set takes at that pace; for mug the faces of `--source` are put into 896 x 896 JPEG pictures first,
for synaction clips of 40 frames of noise are made.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tsvan.config import DataConfig
from tsvan.data.batches import Batches
from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import rules
from tsvan.data.raw.footage import open_footage
from tsvan.data.raw.listing import list_folder
from tsvan.data.raw.prepare import requests_for
from tsvan.data.raw.reader_pool import read_all
from tsvan.data.raw.reading import Reading
from tsvan.data.store import FORMAT, FRAMES, INDEX, VERSION, Clip, ClipStore, content_hash, to_json
from tsvan.files import hash_json

WHOLE_SETS: dict[str, tuple[int, int | None]] = {
    "weizmann": (90, None),
    "mug": (1_000, 60),
    "synaction": (6_000, 40),
    "vox": (15_184, 205),
}
"""Clips of each set and frames of a clip (None: as measured). VoxCeleb's clips are 8.2 s long on average; how many
takes MUG has depends on the licence, so a thousand."""

BATCH = 16


def main() -> None:
    """Print one measurement a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("read")
    command.add_argument("--gigabytes", type=float, default=22.0)
    command.add_argument("--batches", type=int, default=400)
    command = commands.add_parser("prepare")
    command.add_argument("--dataset", required=True, choices=sorted(WHOLE_SETS))
    command.add_argument("--source", type=Path, help="folder of real video")
    command.add_argument("--repeat", type=int, default=1, help="read the folder this often")
    command.add_argument("--workers", type=int, default=0, help="processes; 0: this one")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.command == "read":
        measure_reading(args.gigabytes, args.batches)
    else:
        measure_preparing(args.dataset, args.source, args.repeat, args.workers)


def measure_reading(gigabytes: float, num_batches: int) -> None:
    """Time training batches from a store of that size: all of them on a CPU, and the host's part when a GPU trains."""
    with tempfile.TemporaryDirectory() as folder:
        store = sparse_store(Path(folder) / "store", gigabytes)
        size = (store.path / FRAMES).stat().st_size
        print(f"store: {size / 1e9:.1f} GB, {len(store.clips):,} clips, {len(store.frames):,} frames")
        batches = Batches(store, DataConfig(), BATCH, seed=0, device="cpu")
        drawn = [batches.drawn(iteration) for iteration in range(1, num_batches + 1)]
        # Each batch looks at other rows: at first every page is new to the cache, then it is in there.
        for seen in ("pages new to the cache", "pages in the cache", "pages in the cache"):
            with _timed(f"crops for a GPU, which scales them; {seen}", num_batches * BATCH):
                for draw in drawn:
                    batches.reader.crops(draw.rows, draw.tops, draw.lefts)
        with _timed("whole batches on the CPU; pages in the cache", num_batches * BATCH):
            for iteration in range(1, num_batches + 1):
                batches.at(iteration)
        one = 10 * store.side**2 * 3
        print(f"10 frames are {one / 1e3:.0f} kB: 2,000 clips/s take {2000 * one / 1e6:.0f} MB/s from a cold disk")


def sparse_store(path: Path, gigabytes: float) -> ClipStore:
    """Make a store of that size without contents: speakers' clips of 96 frames at playback step 2."""
    found, length = rules("vox"), 96
    count = max(1, round(gigabytes * 1e9 / (length * found.side**2 * 3)))
    path.mkdir(parents=True)
    with open(path / FRAMES, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count * length, found.side, found.side, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + count * length * found.side**2 * 3)
    clips = [
        to_json(Clip(number * length, length, 0, number % 186, "train", 2, False, f"{number}.mp4", ""))
        for number in range(count)
    ]
    people = [f"id{number}" for number in range(186)]
    index = {"format": FORMAT, "version": VERSION, "dataset": "vox", "data_source": "synthetic", "side": found.side}
    index |= {"num_frames": count * length, "classes": ["talk"], "people": people, "clips": clips}
    index |= {"rejected": [], "left_out": [], "frames_sha256": ""}
    index["content_hash"] = content_hash("", index)
    index["index_hash"] = hash_json(index)
    (path / INDEX).write_text(json.dumps(index))
    return ClipStore.open(path)


def measure_preparing(dataset: str, source: Path | None, repeat: int, workers: int) -> None:
    """Read, centre and reduce every clip of a folder."""
    found = rules(dataset)
    with tempfile.TemporaryDirectory() as folder:
        if dataset in ("mug", "synaction"):
            source = draw_raw(dataset, source, Path(folder) / dataset)
        if source is None:
            raise SystemExit(f"--source DIR is needed for {dataset}")
        requests = requests_for(found, source, list_folder(found, source).candidates, PrepareConfig()) * repeat
        began, cpu = time.perf_counter(), time.process_time()
        readings = [outcome for outcome in read_all(requests, workers) if isinstance(outcome, Reading)]
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    frames = sum(reading.source.num_frames for reading in readings)
    stored = sum(reading.frames.nbytes for reading in readings)
    seconds = cpu if not workers else wall
    mean = frames / len(readings)
    print(f"{dataset}: {len(readings)} of {len(requests)} clips, {mean:.0f} frames each, {source.name}")
    print(f"  centring: { {reading.how for reading in readings} }; {wall:.1f} s wall, {cpu:.1f} s of this process")
    print(f"  a clip: {seconds / len(readings):.3f} s, {stored / len(readings) / 1e6:.2f} MB")
    print(f"  a frame: {1e3 * seconds / frames:.2f} ms, {stored / frames / 1e3:.1f} kB")
    count, each = WHOLE_SETS[dataset]
    whole = count * (each or mean)
    cost = f"{seconds / frames * whole / 3600:.2f} hours of one {'core' if not workers else 'run'}"
    print(f"  {count:,} clips of {each or mean:.0f} frames: {cost}, {stored / frames * whole / 1e9:.2f} GB")


def draw_raw(dataset: str, source: Path | None, folder: Path) -> Path:
    """Draw clips in the raw form of a set whose own are not at hand."""
    folder.mkdir()
    if dataset == "synaction":
        noise = np.random.default_rng(0).integers(0, 256, size=(40, 71, 71, 3), dtype=np.uint8)
        for index in range(60):
            np.save(folder / f"0_0_0_{index}.npy", noise)
        return folder
    if source is None:
        raise SystemExit("--source DIR of talking faces is needed for mug")
    for number, file in enumerate(sorted(source.glob("*.mp4"))):
        footage, _ = open_footage(source, file.name, "THWC")
        take = folder / "001" / "anger" / f"take{number:03d}"
        take.mkdir(parents=True)
        for place, frame in zip(range(60), footage.frames(), strict=False):
            picture = Image.new("RGB", (896, 896), (120, 120, 120))
            picture.paste(Image.fromarray(frame).resize((500, 500)), (200, 150))
            picture.save(take / f"img_{place:04d}.jpg", quality=90)
    return folder


@contextmanager
def _timed(what: str, clips: int) -> Iterator[None]:
    began, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"{what}: {clips / wall:,.0f} clips/s; {clips / cpu:,.0f} clips per second of one core")


if __name__ == "__main__":
    main()
