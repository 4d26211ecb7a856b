"""What the scoring classifier reaches on held-out clips, and what its features see of time.

python -m benchmarks.scorer --dataset weizmann --store STORE [--seeds 0 1 2] [--preset quick] [--set iterations=120]
python -m benchmarks.scorer --dataset mug --standin small

Every accuracy is that of the last iteration (nothing is chosen by the held-out clips) and counts all non-overlapping
windows of the test split alike. Then comes how much worse static and time-shuffled copies are than the clips, in
standard errors over held-out videos.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from tsvan.data.batches import FrameReader
from tsvan.data.standin.drawing import draw
from tsvan.data.store import ClipStore
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.config import ScorerConfig, published, quick
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.labels import UNASKED, Head, Scheme, scheme
from tsvan.scoring.training import train
from tsvan.scoring.windows import held_out_windows, load
from tsvan.validation import build, parse_value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--store", type=Path, help="a clip store")
    parser.add_argument("--standin", choices=("small", "large"), help="draw stand-in clips of this size")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--preset", choices=("quick", "published"), default="quick")
    parser.add_argument("--action-only", action="store_true", help="ask for the action alone")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the classifier")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    if (args.store is None) == (args.standin is None):
        parser.error("give either --store or --standin")
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        store = (
            ClipStore.open(args.store, args.dataset)
            if args.store
            else draw(args.dataset, Path(folder) / "store", size=args.standin)
        )
        measured = [run(store, args, seed) for seed in args.seeds]
    for name in measured[0]:
        values = [row[name] for row in measured]
        print(f"{name:<32}{np.mean(values):>9.3f}   by seed: {', '.join(f'{value:.3f}' for value in values)}")


def run(store: ClipStore, args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Train one scorer to the end and measure it."""
    config = settings(args, seed)
    questions = scheme(store, config)
    if args.action_only:
        questions = Scheme((Head("class", store.num_classes),), store.num_classes)
    began = time.perf_counter()
    scorer = train(store, config, questions)
    seconds = time.perf_counter() - began
    found = accuracies(scorer, store)
    print(f"seed {seed}: {scorer.iterations} iterations, {seconds:.0f} s; {found}", flush=True)
    return {**found, **({} if args.action_only else gaps(scorer, store)), "seconds": seconds}


def settings(args: argparse.Namespace, seed: int) -> ScorerConfig:
    """Build the preset with its changes; the only evaluation is the last iteration's."""
    start = {"quick": quick, "published": published}[args.preset](args.dataset)
    if args.action_only and args.preset == "published":
        start = replace(start, lr=ScorerConfig().lr, lr_decay=ScorerConfig().lr_decay)
    changes = dict(item.split("=", 1) for item in args.set)
    values = {**asdict(start), **{key: parse_value(value) for key, value in changes.items()}, "seed": seed}
    config = build(ScorerConfig, {**values, "widths": list(start.widths)}, "--set")
    return replace(config, eval_every=config.iterations)


def accuracies(scorer: Scorer, store: ClipStore) -> dict[str, float]:
    """Compute the share of right windows by head.

    For person x action there is also the share of the action alone, for the step also that within one.
    """
    reader = FrameReader(store, "cpu")
    windows = held_out_windows(store, scorer.scheme)
    right: dict[str, list[bool]] = {}
    for start in range(0, len(windows), 64):
        some = windows[start : start + 64]
        with torch.inference_mode():
            _, logits = scorer.network(load(reader, some))
        for place, (head, values) in enumerate(zip(scorer.scheme.heads, logits, strict=True)):
            said = values.argmax(dim=1).numpy()
            wanted = np.array([scorer.scheme.labels(window.clip, window.step)[place] for window in some])
            said, wanted = said[wanted != UNASKED], wanted[wanted != UNASKED]
            right.setdefault(head.name, []).extend(said == wanted)
            if head.name == "person x action":
                count = scorer.scheme.num_classes
                right.setdefault("action of the two", []).extend(said % count == wanted % count)
            if head.of_time:
                right.setdefault(f"{head.name} within one", []).extend(abs(said - wanted) <= 1)
    return {"windows": float(len(windows)), **{name: float(np.mean(hits)) for name, hits in right.items()}}


def gaps(scorer: Scorer, store: ClipStore) -> dict[str, float]:
    """Measure how much worse broken copies of held-out clips are by some metrics, in standard errors over videos."""
    found = Evaluator(scorer, store).sensitivity()
    return {
        f"{metric}, {kind}": found.gaps[metric][kind].errors
        for metric in ("kernel_distance", "frechet_distance", "inception_score")
        for kind in found.gaps[metric]
    }


if __name__ == "__main__":
    main()
