"""What one training step costs: operations, time, memory, and the hours of a published run.

    python -m benchmarks.train_step --flops-only
    python -m benchmarks.train_step --compare --ngf 16 --content-dim 512 --json rows.json
    python -m benchmarks.train_step --compare --precision bf16

Both gates are open and the networks in training mode; the fusion's own arithmetic is not counted as operations. Times
are medians, with the optimisers' updates. Each kind of step runs in a process of its own, whose peak memory is told;
with `--compare` a second one takes the straightforward trainer's float32 steps, in turns with the first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.timed_step import T_ONE_STEP, Spec, gradients_of, inputs_of, networks_of
from tsvan import schedules
from tsvan.config import DataConfig, ScheduleConfig
from tsvan.data.batches import Batches
from tsvan.data.standin import drawing
from tsvan.models.networks import Networks
from tsvan.trainer import pick_device

PUBLISHED = ((16, 512), (32, 1024), (64, 512))
KINDS = (("content", None), ("one-step", None), ("sequence", 1.0), ("sequence", 0.0))
COUNTED_BATCH = 2  # operations grow with the batch alone, so a small one is counted


@dataclass(frozen=True)
class Row:
    """One kind of step: milliseconds (median), operations in GFLOP at the full batch, peak memory in MiB.

    The last three: the straightforward trainer in float32, in the same run; how many times as fast this one is.
    """

    architecture: str
    precision: str
    device: str
    trainer: str
    ngf: int
    content_dim: int
    step: str
    t: int | None
    epsilon: float | None
    batch: int
    gflop: float
    ms: float | None = None
    peak_mib: float | None = None
    kernels: int | None = None
    straightforward_ms: float | None = None
    straightforward_peak_mib: float | None = None
    speedup: float | None = None


def main() -> None:
    """Print a table; with --json write the rows as well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ngf", type=int, help="only this width")
    parser.add_argument("--content-dim", type=int, help="only this latent")
    parser.add_argument("--architecture", default="paper", choices=("paper", "release", "tiny"))
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--flops-only", action="store_true", help="count without timing")
    parser.add_argument("--straightforward", action="store_true", help="the reference in place of the trainer")
    parser.add_argument("--compare", action="store_true", help="the reference in float32 beside the trainer, in turns")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows: list[Row] = []
    for ngf, content_dim in _pairs(args.ngf, args.content_dim):
        new = []
        for row in measure(args, ngf, content_dim):
            print(_line(row), flush=True)
            new.append(row)
        if not args.flops_only:
            _say_mix(new)
        rows += new
    if not args.flops_only:
        _say_waiting(rows, args.batch, args.device)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def measure(args: argparse.Namespace, ngf: int, content_dim: int) -> Iterator[Row]:
    """Yield the rows of one configuration: content, one-step at t = 4, sequence at epsilon 1 and 0."""
    device = pick_device(args.device).type
    trainer = "straightforward" if args.straightforward else "tsvan"
    for step, epsilon in KINDS:
        spec = Spec(
            trainer, step, epsilon, ngf, content_dim, args.architecture, args.precision, args.batch, device
        )
        row = Row(
            spec.architecture, spec.precision, device, trainer, ngf, content_dim, step,
            T_ONE_STEP if step == "one-step" else None, epsilon, spec.batch, count_gflop(spec),
        )  # fmt: skip
        yield row if args.flops_only else replace(row, **_timed(spec, args.repeats, args.compare))


def count_gflop(spec: Spec, networks: Networks | None = None) -> float:
    """Count the GFLOP of a step on `spec.batch` clips, by PyTorch's counter, on a CPU; they are the same elsewhere."""
    spec = replace(spec, device="cpu")
    run = gradients_of(spec, networks or networks_of(spec))
    with FlopCounterMode(display=False) as counter:
        run(*inputs_of(COUNTED_BATCH, "cpu"))
    return counter.get_total_flops() / 1e9 * spec.batch / COUNTED_BATCH


def mix_seconds(ms: dict[tuple[str, float | None], float]) -> float:
    """Compute an iteration's mean seconds over the published schedule; between epsilon 1 and 0 by interpolation."""
    schedule = ScheduleConfig()
    total = 0.0
    points = np.linspace(1, schedule.iterations, 1_000)
    for i in points:
        share, epsilon = schedules.sequence_share(int(i), schedule), schedules.teacher_share(int(i), schedule)
        sequence = epsilon * ms["sequence", 1.0] + (1 - epsilon) * ms["sequence", 0.0]
        motion = share * sequence + (1 - share) * ms["one-step", None]
        total += schedule.content_share * ms["content", None] + (1 - schedule.content_share) * motion
    return total / len(points) / 1000


class _Worker:
    """A process that takes steps on demand."""

    def __init__(self, spec: Spec) -> None:
        command = [sys.executable, "-m", "benchmarks.timed_step", json.dumps(asdict(spec))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.kernels = self._read()["kernels"]
        self.ms: list[float] = []
        self.peak = 0.0

    def step(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("step\n")
        self._process.stdin.flush()
        values = self._read()
        self.ms.append(values["ms"])
        self.peak = values["peak_mib"]

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a timed step ended with exit code {self._process.wait()}")
        values: dict[str, Any] = json.loads(line)
        return values


def _timed(spec: Spec, repeats: int, compare: bool) -> dict[str, Any]:
    ours = _Worker(spec)
    theirs = _Worker(replace(spec, trainer="straightforward", precision="fp32")) if compare else None
    workers = [worker for worker in (ours, theirs) if worker is not None]
    for _ in range(repeats):
        for worker in workers:
            worker.step()
    for worker in workers:
        worker.close()
    ms = statistics.median(ours.ms)
    values: dict[str, Any] = {"ms": ms, "peak_mib": ours.peak, "kernels": ours.kernels}
    if theirs is not None:
        slow = statistics.median(theirs.ms)
        values |= {"straightforward_ms": slow, "straightforward_peak_mib": theirs.peak, "speedup": slow / ms}
    return values


def _say_mix(rows: list[Row]) -> None:
    def said(ms: Callable[[Row], float | None]) -> str:
        seconds = mix_seconds({(row.step, row.epsilon): ms(row) or 0.0 for row in rows})
        total = ScheduleConfig().iterations
        return f"{1 / seconds:.2f} iterations/s, {seconds * total / 3600:.1f} hours for {total:,}"

    print(f"  published mix: {said(lambda row: row.ms)}")
    if rows[0].straightforward_ms is not None:
        print(f"  straightforward, fp32: {said(lambda row: row.straightforward_ms)}")


def _say_waiting(rows: list[Row], batch: int, device: str) -> None:
    """Say how long an iteration waits for its clips, which are read between the steps."""
    with tempfile.TemporaryDirectory() as folder:
        store = drawing.draw("weizmann", Path(folder) / "store", size="small")
        batches = Batches(store, DataConfig(), batch, 0, pick_device(device))
        times = []
        for iteration in range(1, 201):
            start = time.perf_counter()
            clips: Tensor = batches.at(iteration).clips
            if clips.device.type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
    ms = statistics.median(times) * 1000
    quickest = min(row.ms for row in rows if row.ms is not None)
    share = ms / (ms + quickest)
    print(f"a batch takes {ms:.2f} ms ({batch / ms * 1000:,.0f} clips/s): {share:.1%} of the quickest iteration")


def _pairs(ngf: int | None, content_dim: int | None) -> list[tuple[int, int]]:
    if ngf and content_dim:
        return [(ngf, content_dim)]
    return [pair for pair in PUBLISHED if (ngf in (None, pair[0])) and content_dim in (None, pair[1])]


def _line(row: Row) -> str:
    where = f"ngf {row.ngf:>2} z {row.content_dim:>4} {row.step:<8}"
    when = f"t={row.t}" if row.t is not None else "" if row.epsilon is None else f"e={row.epsilon:g}"
    text = f"{where} {when:<4} {row.gflop:>8.1f} GFLOP"
    if row.ms is not None:
        text += f" {row.ms:>9.1f} ms {row.peak_mib:>7.0f} MiB"
    if row.kernels is not None:
        text += f" {row.kernels:>6} kernels"
    if row.speedup is not None and row.peak_mib is not None and row.straightforward_peak_mib is not None:
        share = row.peak_mib / row.straightforward_peak_mib
        text += f" | straightforward {row.straightforward_ms:>9.1f} ms: {row.speedup:.1f} x as fast, {share:.2f} of its"
        text += f" {row.straightforward_peak_mib:.0f} MiB"
    return text


if __name__ == "__main__":
    main()
