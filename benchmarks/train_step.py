"""What one training step costs: operations, time, and the hours of a published run.

    python -m benchmarks.train_step --flops-only
    python -m benchmarks.train_step --precision bf16 --json rows.json
    python -m benchmarks.train_step --straightforward --ngf 16 --content-dim 512

Both gates are open and the networks in training mode. The fusion's own arithmetic is not counted as operations.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import straightforward
from tsvan import schedules, steps
from tsvan.config import LossConfig, ModelConfig, ScheduleConfig
from tsvan.draws import Draws
from tsvan.models.networks import Networks
from tsvan.trainer import pick_device

OPEN = LossConfig(balance_margin=1e6, balance_margin_one_step=1e6)
CLASSES, T_ONE_STEP = 10, 4
PUBLISHED = ((16, 512), (32, 1024), (64, 512))
COUNTED_BATCH = 2  # operations grow with the batch alone, so a small one is counted


@dataclass(frozen=True)
class Row:
    """One kind of step. Times in milliseconds (median), operations in GFLOP at the full batch."""

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


class _At(Draws):
    """Draws whose one-step target is always the same frame."""

    def integer(self, low: int, high: int) -> int:
        return min(max(T_ONE_STEP, low), high) if low == 1 else super().integer(low, high)


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
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows: list[Row] = []
    for ngf, content_dim in _pairs(args.ngf, args.content_dim):
        new = list(measure(args, ngf, content_dim))
        print("\n".join(_line(row) for row in new))
        if not args.flops_only:
            seconds = mix_seconds({(row.step, row.epsilon): row.ms or 0.0 for row in new})
            total = ScheduleConfig().iterations
            print(f"  published mix: {1 / seconds:.2f} iterations/s, {seconds * total / 3600:.1f} hours for {total:,}")
        rows += new
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def measure(args: argparse.Namespace, ngf: int, content_dim: int) -> Iterator[Row]:
    """The rows of one configuration: content, one-step at t = 4, sequence at epsilon 1 and 0."""
    device = pick_device(args.device)
    torch.manual_seed(0)
    config = ModelConfig(architecture=args.architecture, ngf=ngf, content_dim=content_dim)
    networks = Networks(config, CLASSES).to(device).train()
    for step, epsilon in (("content", None), ("one-step", None), ("sequence", 1.0), ("sequence", 0.0)):
        run = _runner(networks, step, epsilon, args.precision, args.straightforward)
        row = Row(
            args.architecture,
            args.precision,
            device.type,
            "straightforward" if args.straightforward else "tsvan",
            ngf,
            content_dim,
            step,
            T_ONE_STEP if step == "one-step" else None,
            epsilon,
            args.batch,
            count_gflop(run, device) * args.batch / COUNTED_BATCH,
        )
        yield row if args.flops_only else Row(**{**asdict(row), **_timed(run, args.batch, device, args.repeats)})


def count_gflop(run: Callable[[torch.Tensor, torch.Tensor], None], device: torch.device) -> float:
    """Operations of a step on `COUNTED_BATCH` clips, by PyTorch's counter."""
    with FlopCounterMode(display=False) as counter:
        run(*_clips(COUNTED_BATCH, device))
    return counter.get_total_flops() / 1e9


def mix_seconds(ms: dict[tuple[str, float | None], float]) -> float:
    """Mean seconds of an iteration over the published schedule; between epsilon 1 and 0 by interpolation."""
    schedule = ScheduleConfig()
    total = 0.0
    points = np.linspace(1, schedule.iterations, 1_000)
    for i in points:
        share, epsilon = schedules.sequence_share(int(i), schedule), schedules.teacher_share(int(i), schedule)
        sequence = epsilon * ms["sequence", 1.0] + (1 - epsilon) * ms["sequence", 0.0]
        motion = share * sequence + (1 - share) * ms["one-step", None]
        total += schedule.content_share * ms["content", None] + (1 - schedule.content_share) * motion
    return total / len(points) / 1000


def _runner(
    networks: Networks, step: str, epsilon: float | None, precision: str, reference: bool
) -> Callable[[torch.Tensor, torch.Tensor], None]:
    fast = {"content": steps.content_step, "one-step": steps.one_step, "sequence": steps.sequence_step}
    slow = {
        "content": straightforward.content_gradients,
        "one-step": straightforward.one_step_gradients,
        "sequence": straightforward.sequence_gradients,
    }
    function = (slow if reference else fast)[step]
    schedule = {} if epsilon is None else {"epsilon": epsilon, "kl_weight": 2.0}

    def run(clips: torch.Tensor, labels: torch.Tensor) -> None:
        with torch.autocast(clips.device.type, torch.bfloat16, enabled=precision == "bf16"):
            function(networks, clips, labels, _At(0, 1, clips.device), OPEN, **schedule)  # type: ignore[operator]

    return run


def _timed(
    run: Callable[[torch.Tensor, torch.Tensor], None], batch: int, device: torch.device, repeats: int
) -> dict[str, float | None]:
    inputs = _clips(batch, device)
    run(*inputs)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run(*inputs)
        if cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1000)
    peak = torch.cuda.max_memory_allocated() / 2**20 if cuda else None
    return {"ms": statistics.median(times), "peak_mib": peak}


def _clips(batch: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clips = torch.rand(batch, 3, 10, 64, 64, generator=generator) * 2 - 1
    return clips.to(device), (torch.arange(batch) % CLASSES).to(device)


def _pairs(ngf: int | None, content_dim: int | None) -> list[tuple[int, int]]:
    if ngf and content_dim:
        return [(ngf, content_dim)]
    return [pair for pair in PUBLISHED if (ngf in (None, pair[0])) and content_dim in (None, pair[1])]


def _line(row: Row) -> str:
    where = f"ngf {row.ngf:>2} z {row.content_dim:>4} {row.step:<8}"
    when = f"t={row.t}" if row.t is not None else "" if row.epsilon is None else f"e={row.epsilon:g}"
    ms = "" if row.ms is None else f" {row.ms:>9.1f} ms"
    peak = "" if row.peak_mib is None else f" {row.peak_mib:>8.0f} MiB"
    return f"{where} {when:<4} {row.gflop:>8.1f} GFLOP{ms}{peak}"


if __name__ == "__main__":
    main()
