"""Pictures of one run: its curves, and real, rebuilt and sampled clips side by side.

    python -m benchmarks.learning --run runs/train-weizmann --out docs/images
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch

from tsvan import checkpoint, video
from tsvan.data.batches import FrameReader
from tsvan.data.store import ClipStore
from tsvan.journal import Journal
from tsvan.reconstruction import reconstruct, reconstruction_errors
from tsvan.sampling import generate
from tsvan.scoring.windows import held_out_windows, load

matplotlib.use("Agg")
from matplotlib import pyplot as plt

CURVES = {
    "pretrain/reconstruction": "content, pre-training",
    "content/reconstruction": "content",
    "one_step/reconstruction": "one-step",
    "sequence/reconstruction": "sequence",
}


def main() -> None:
    """Write `learning-curve.png` and `learning-clips.png`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="folder of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args()
    loaded = checkpoint.load(args.run)
    store = ClipStore.open(loaded.store_path)
    networks = loaded.build_networks(torch.device("cpu"))
    errors = reconstruction_errors(networks, store, torch.device("cpu"))
    draw_curves(args.run, args.out / "learning-curve.png", errors.mean_frame)
    sheet = [*held_out_rows(networks, store), *sample_rows(networks, len(loaded.classes))]
    video.write_png(args.out / "learning-clips.png", video.contact_sheet(np.stack(sheet)))
    print(errors)


def draw_curves(run: Path, file: Path, mean_frame: float) -> None:
    """Draw training reconstruction errors by iteration, medians of 20 records, beside the mean frame's held out."""
    lines = list(Journal(run / "metrics.jsonl").lines())
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for name, label in CURVES.items():
        points = [(line["iteration"], line["values"][name]) for line in lines if name in line["values"]]
        if points:
            x, y = smooth(points)
            axes.plot(x, y, label=label)
    axes.axhline(mean_frame, color="black", linestyle="--", linewidth=1, label="mean frame, held out")
    axes.axhline(mean_frame / 2, color="black", linestyle=":", linewidth=1, label="half of it")
    axes.set(yscale="log", xlabel="iteration", ylabel="mean squared error, frames in [-1, 1]")
    axes.legend(frameon=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)


def smooth(points: Sequence[tuple[int, float]], width: int = 20) -> tuple[list[float], list[float]]:
    """Compute medians over consecutive groups of `width` points."""
    groups = [points[start : start + width] for start in range(0, len(points), width)]
    return [float(np.mean([x for x, _ in g])) for g in groups], [float(np.median([y for _, y in g])) for g in groups]


def held_out_rows(networks, store: ClipStore, count: int = 3):  # type: ignore[no-untyped-def]
    """Make three rows for each of some held-out clips of different classes: real, content stream, rolled out."""
    windows = held_out_windows(store)
    chosen = [next(w for w in windows if w.clip.label == label) for label in range(min(count, store.num_classes))]
    clips = load(FrameReader(store, "cpu"), chosen)
    with torch.inference_mode():
        stills, rolled = reconstruct(networks, clips, torch.tensor([window.clip.label for window in chosen]))
    sets = [video.to_uint8(part) for part in (clips, stills, rolled)]
    return [part[index] for index in range(len(chosen)) for part in sets]


def sample_rows(networks, num_classes: int):  # type: ignore[no-untyped-def]
    """Sample one clip of each class."""
    return video.to_uint8(torch.cat(list(generate(networks, np.arange(num_classes), np.arange(num_classes)))))


if __name__ == "__main__":
    main()
