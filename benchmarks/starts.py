"""Short runs on real clips from both starts of the adaptive kernels, at equal iterations.

    python -m benchmarks.starts --store STORE --out DIR --seeds 0 1 2 --pretrain 10000 --iterations 500 --threads 1

For each seed the content stream is pre-trained once; no layer of the motion stream takes part in that, so that both
starts go on from the same weights, as two whole runs would. Each joint run is measured on held-out clips on its way,
and scored at its end. `rows.jsonl` grows by a line for each measurement; a run that diverges is a line with the reason.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch

from benchmarks.learning import held_out_rows, sample_rows
from tsvan import video
from tsvan.checkpoint import Checkpoint
from tsvan.config import TrainConfig
from tsvan.data.published import published
from tsvan.data.store import ClipStore
from tsvan.models.initialise import start_kernels_as_identity
from tsvan.models.networks import Networks
from tsvan.reconstruction import reconstruction_errors
from tsvan.sampling import generate
from tsvan.scoring.config import ScorerConfig, quick
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.groups import sample_group
from tsvan.scoring.training import train_or_load
from tsvan.trainer import Diverged, Trainer, pick_device
from tsvan.validation import parse_value

Start = Literal["published", "identity"]
STARTS: tuple[Start, ...] = get_args(Start)
SHORT_RUN = {
    "batch_size": 4, "precision": "bf16", "lr": 1e-3, "lambda2": 3.0, "content_share": 0.1,
    "sequence_share_start": 0.05, "sequence_share_end": 0.3, "ramp_start": 0.4, "ramp_end": 0.8,
}  # fmt: skip
"""What makes minutes of a CPU count: more motion steps, and a learning rate of five times the published one."""


@dataclass(frozen=True)
class Row:
    """A run at one of its iterations.

    Args:
        start: of the kernels.
        iteration: of the joint phase.
        seconds: of training so far, pre-training left out.
        content: held-out error of the content stream, frames in [-1, 1].
        rolled_out: the same of frames that are generated one from the other.
        mean_frame: the same of the mean training frame.
        scores: of clips sampled from the prior, at the end.
        diverged: the reason, where the run did; its numbers are those of the weights there, or none.
    """

    start: Start
    seed: int
    iteration: int
    seconds: float
    content: float | None = None
    rolled_out: float | None = None
    mean_frame: float | None = None
    scores: dict[str, float] = field(default_factory=dict)
    diverged: str = ""


def main() -> None:
    """Run all starts of all seeds, seed by seed; write rows, and pictures of what the last seed's runs made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--dataset", default="weizmann")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--pretrain", type=int, default=10_000)
    parser.add_argument("--iterations", type=int, default=500, help="of the joint phase")
    parser.add_argument("--looks", type=int, nargs="+", default=[25, 50, 100, 200, 300, 400], help="joint iterations")
    parser.add_argument("--clips", type=int, default=128, help="that are scored at the end; 0: none")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the runs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    device, store = pick_device(args.device), ClipStore.open(args.store, args.dataset)
    settings = {**SHORT_RUN, "pretrain_iterations": args.pretrain, "iterations": args.iterations}
    settings |= {key: parse_value(value) for key, value in (item.split("=", 1) for item in args.set)}
    args.out.mkdir(parents=True, exist_ok=True)
    for seed in args.seeds:
        config = published(args.dataset).with_settings({**settings, "seed": seed})
        base = pretrained(config, store, args.out, device)
        for start in STARTS:
            state = begun_with(base, start)
            trainer = Trainer(state.config, store, args.out, device, state, log_every=1)
            score = partial(scored, scorer=quick(args.dataset), clips=args.clips) if args.clips else as_it_is
            for row in looks(trainer, start, args.looks, score):
                note(args.out, row)
            draw(trainer.networks, store, args.out / f"{start}-{seed}.png")
            trainer.networks.train()


def pretrained(config: TrainConfig, store: ClipStore, folder: Path, device: torch.device) -> Checkpoint:
    """Train up to the state after content pre-training, and return it on the CPU."""
    trainer = Trainer(config, store, folder, device, None, log_every=100)
    for _ in trainer.run(config.schedule.pretrain_iterations):
        pass
    return trainer.snapshot()


def begun_with(base: Checkpoint, start: Start) -> Checkpoint:
    """Return the same state of a run whose kernels have that start: pre-training reads and changes none of them."""
    config = replace(base.config, model=replace(base.config.model, kernel_init=start))
    networks = Networks(config.model, len(base.classes))
    networks.load_state_dict(base.networks)
    if start == "identity":
        start_kernels_as_identity(networks)
    # A run's optimisers work in place, on tensors that they may share with the state they were given.
    return replace(base, config=config, networks=networks.state_dict(), optimisers=deepcopy(base.optimisers))


def looks(
    trainer: Trainer,
    start: Start,
    at: Sequence[int],
    score: Callable[[Trainer, Row], Row],
    until: Callable[[], bool] = lambda: False,
) -> Iterator[Row]:
    """Train to the end, and measure before the first joint iteration, at the iterations `at` and at the end.

    Args:
        score: adds scores to the last row.
        until: asked after every iteration; True ends the run there.
    """
    schedule, seed = trainer.config.schedule, trainer.config.seed
    seconds = 0.0
    for look in sorted({0, *(item for item in at if item < schedule.iterations), schedule.iterations}):
        began, reason = time.perf_counter(), ""
        try:
            for _ in trainer.run(schedule.pretrain_iterations + look, until):
                pass
        except Diverged as error:
            reason = str(error)
        seconds += time.perf_counter() - began
        done = trainer.iteration - schedule.pretrain_iterations
        errors = reconstruction_errors(trainer.networks, trainer.store, trainer.device)
        trainer.networks.train()
        row = Row(
            start, seed, done, seconds, _number(errors.content), _number(errors.sequence), errors.mean_frame,
            diverged=reason,
        )  # fmt: skip
        ended = bool(reason) or until() or look == schedule.iterations
        yield score(trainer, row) if ended and not reason else row
        if ended:
            return


def as_it_is(trainer: Trainer, row: Row) -> Row:
    """Return the row without scores."""
    return row


def scored(trainer: Trainer, row: Row, scorer: ScorerConfig, clips: int) -> Row:
    """Score so many sampled clips, and return the row with the scores.

    The scorer is the run's, which is trained where it is missing.
    """
    store, device = trainer.store, trainer.device
    folder = trainer.folder / "scorers"
    evaluator = Evaluator(train_or_load(store, scorer, folder, device), store, device, cache_dir=folder)
    group = sample_group("validation", trainer.num_classes, clips)
    sampled = generate(trainer.networks, group.seeds, group.labels, precision=trainer.config.precision)
    values = evaluator.score(sampled, group.labels, group=group.name).values
    return replace(row, scores={name: float(value) for name, value in values.items()})


def draw(networks: Networks, store: ClipStore, file: Path) -> None:
    """Draw two held-out clips (real, content stream, rolled out), then a sample of each class."""
    networks = deepcopy(networks).cpu().eval()
    sheet = [*held_out_rows(networks, store, 2), *sample_rows(networks, store.num_classes)]
    video.write_png(file, video.contact_sheet(np.stack(sheet)))


def note(folder: Path, row: Row) -> None:
    """Add a row to the file, and print it."""
    line = json.dumps(asdict(row))
    print(line, flush=True)
    with (folder / "rows.jsonl").open("a") as rows:
        rows.write(line + "\n")


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


if __name__ == "__main__":
    main()
