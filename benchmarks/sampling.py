"""Clips a second of sampling and of scoring by batch size, and the memory that it takes.

    python -m benchmarks.sampling
    python -m benchmarks.sampling --ngf 16 --precision fp32 --batch 16,64,auto --clips 128 --json sampling.json

Every row is a process of its own (so that its peak memory is its own) that samples or scores the same number of clips;
the rows take turns, and the median of `--repeats` is shown. Networks are as initialised.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import time
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from tsvan.config import ModelConfig
from tsvan.models.networks import Networks
from tsvan.sampling import fitting_batch, generate
from tsvan.scoring.classifier import Classifier
from tsvan.scoring.config import ScorerConfig
from tsvan.scoring.labels import Head, Scheme
from tsvan.trainer import pick_device

CLASSES, CLIPS_A_CLASS = 10, 900
SCHEME = Scheme((Head("class", CLASSES),), CLASSES)


@dataclass(frozen=True)
class Row:
    """One way to do it.

    Args:
        work: `sampling` or `scoring`.
        ngf: of the content stream; 0 for scoring.
        batch: clips at once; 0: the one that is chosen.
        clips_per_s: median.
        clips_per_cpu_s: the same by the process's own time on all cores, which other programs hardly change.
        peak_mib: of the process above what it held before the first clip; on a GPU of its allocator.
    """

    work: str
    device: str
    precision: str
    ngf: int
    batch: int
    clips: int
    architecture: str = "paper"
    chosen: bool = False
    clips_per_s: float = 0.0
    clips_per_cpu_s: float = 0.0
    peak_mib: float = 0.0

    @property
    def minutes(self) -> float:
        """Compute the minutes for 900 clips a class of ten."""
        return CLASSES * CLIPS_A_CLASS / self.clips_per_s / 60


def main() -> None:
    """Print a table; with --json write the rows as well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ngf", default="16,64")
    parser.add_argument("--precision", default="fp32,bf16")
    parser.add_argument("--batch", default="4,16,64,128,auto")
    parser.add_argument("--clips", type=int, default=128, help="of every row")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    device = pick_device(args.device).type
    batches = [0 if word == "auto" else int(word) for word in args.batch.split(",")]
    plans = [
        Row("sampling", device, precision, int(ngf), batch, args.clips)
        for ngf, precision, batch in product(args.ngf.split(","), args.precision.split(","), batches)
    ]
    plans += [Row("scoring", device, "fp32", 0, batch, args.clips) for batch in batches if batch]
    taken: dict[Row, list[Row]] = {plan: [] for plan in plans}
    context = multiprocessing.get_context("spawn")
    for _ in range(args.repeats):
        for plan in plans:
            with context.Pool(1) as pool:
                taken[plan].append(pool.apply(measure, (plan,)))
    print(f"{'':<22}{'batch':>12}{'clips/s':>10}{'by CPU':>10}{'peak':>10}   900 clips a class of ten")
    rows = [_median(taken[plan]) for plan in plans]
    for row in rows:
        name = f"{row.work} {row.precision}" + (f" ngf {row.ngf}" if row.ngf else "")
        batch = f"{row.batch}" + (" (chosen)" if row.chosen else "")
        rates = f"{row.clips_per_s:>10.2f}{row.clips_per_cpu_s:>10.2f}"
        print(f"{name:<22}{batch:>12}{rates}{row.peak_mib:>6.0f} MiB{row.minutes:>8.1f} min")
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def measure(row: Row) -> Row:
    """Measure what a row asks for, in this process."""
    torch.manual_seed(0)
    device = torch.device(row.device)
    if row.work == "sampling":
        config = ModelConfig(architecture=row.architecture, ngf=row.ngf, content_dim=512)
        networks = Networks(config, CLASSES).to(device)
        batch = row.batch or fitting_batch(networks, device)

        def work(clips: int) -> None:
            seeds = np.arange(clips)
            for _ in generate(networks, seeds, seeds % CLASSES, batch_size=batch, precision=row.precision):
                pass
    else:
        batch = row.batch
        classifier = Classifier(SCHEME, ScorerConfig().widths).to(device).eval()
        held = torch.rand(batch, 3, 10, 64, 64, device=device)

        def work(clips: int) -> None:
            with torch.inference_mode():
                for start in range(0, clips, batch):
                    classifier(held[: clips - start])

    work(2)
    before, clips = _peak_mib(device), max(row.clips, batch)
    started, used = time.perf_counter(), time.process_time()
    work(clips)
    if device.type == "cuda":
        torch.cuda.synchronize()
    rate, by_cpu = clips / (time.perf_counter() - started), clips / (time.process_time() - used)
    peak = _peak_mib(device) - before
    row = replace(row, batch=batch, clips=clips, chosen=not row.batch)
    return replace(row, clips_per_s=rate, clips_per_cpu_s=by_cpu, peak_mib=peak)


def _median(rows: list[Row]) -> Row:
    names = ("clips_per_s", "clips_per_cpu_s", "peak_mib")
    rate, by_cpu, peak = (statistics.median(getattr(row, name) for row in rows) for name in names)
    return replace(rows[0], clips_per_s=rate, clips_per_cpu_s=by_cpu, peak_mib=peak)


def _peak_mib(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
