"""The commands `train` and `sample`; `score` has a module of its own."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tsvan import checkpoint, video
from tsvan.checkpoint_files import list_checkpoints
from tsvan.data.batches import trains_on_held_out
from tsvan.data.datasets import DATASETS, DatasetRules, rules
from tsvan.data.published import published
from tsvan.data.raw.prepare import prepare
from tsvan.data.store import ClipStore
from tsvan.journal import Journal
from tsvan.models.precision import slow_bfloat16
from tsvan.registry import MODELS
from tsvan.run_config import FIRST_MODEL, MODEL_NAME, TrainConfig
from tsvan.sampling import generate
from tsvan.terminal import progress, say, stop_signals
from tsvan.trainer import Diverged, Trainer, pick_device
from tsvan.validation import UserError, load_yaml, nearest, parse_value

Subparsers = Any


def add_commands(subparsers: Subparsers) -> None:
    """Add `train` and `sample` to a command line."""
    train = subparsers.add_parser("train", help="train one configuration", description="Train one configuration.")
    train.add_argument("--dataset", required=True, help=f"{', '.join(DATASETS)}, or the YAML of your own")
    train.add_argument("--model", help=f"{' or '.join(MODELS)} (default: that of --config, or {FIRST_MODEL})")
    train.add_argument("--data", type=Path, required=True, help="a clip store, or a folder of videos to make one from")
    train.add_argument("--out", type=Path, help="folder of the run (default: runs/train-DATASET[-MODEL])")
    train.add_argument("--config", type=Path, help="a YAML of settings, such as a trial's config.yaml")
    train.add_argument("--iterations", type=int, help="joint iterations; pre-training is scaled with them")
    train.add_argument("--seed", type=int, help="seed of every random draw")
    train.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting")
    train.add_argument("--device", default="auto", help="auto, cpu or cuda")
    train.add_argument("--threads", type=int, help="CPU threads")
    train.set_defaults(run=train_command)

    sample = subparsers.add_parser("sample", help="sample clips", description="Sample clips from a checkpoint.")
    sample.add_argument("--checkpoint", type=Path, required=True, help="a .pt file, or the folder of a run")
    sample.add_argument("--out", type=Path, required=True, help="folder for the clips and the contact sheet")
    sample.add_argument("--clips", type=int, default=2, help="clips of each class (default: 2)")
    sample.add_argument("--label", help="only this class")
    sample.add_argument("--format", choices=("mp4", "gif"), default="mp4")
    sample.add_argument("--seed", type=int, default=0, help="of the first clip; the next has the next one")
    sample.add_argument("--device", default="auto", help="auto, cpu or cuda")
    sample.set_defaults(run=sample_command)


def train_command(args: argparse.Namespace) -> int:
    """Train, with a progress bar, a metrics file and ten checkpoints; the same command again goes on."""
    dataset = rules(args.dataset)
    config = _train_config(args, dataset)
    if args.threads:
        torch.set_num_threads(args.threads)
    suffix = "" if config.model_name == FIRST_MODEL else f"-{config.model_name}"
    out = args.out or Path("runs") / f"train-{dataset.name}{suffix}"
    device = pick_device(args.device)
    store = _open_or_prepare(dataset, args.data, out)
    if device.type == "cpu" and (warning := slow_bfloat16(config.precision)):
        say(f"warning: {warning}")
    trainer = Trainer.open(config, store, out, args.device, say)
    journal = Journal(out / "metrics.jsonl")
    journal.truncate(trainer.iteration)
    total = config.schedule.total
    every = max(1, math.ceil(total / 10))
    if trains_on_held_out(config, store):
        say("split: paper: held-out clips are trained on, too; the real reference of the scores is training data")
    say(f"training on {trainer.device}: {total} iterations, batch {config.optimiser.batch_size}, in {out}")
    path = list_checkpoints(out / "checkpoints")[0] if trainer.iteration >= total else None
    try:
        with progress("training") as move, stop_signals() as stopped:

            def after_each() -> bool:
                move(trainer.iteration, total)
                return stopped()

            while trainer.iteration < total and not stopped():
                target = min(trainer.iteration - trainer.iteration % every + every, total)
                for record in trainer.run(target, after_each):
                    journal.append(record.iteration, "train", record.values)
                path = trainer.save()
    except Diverged as error:
        say(f"error: {error}; lower lr or the loss weights, or try another --seed")
        return 1
    if trainer.iteration < total:
        say(f"interrupted at iteration {trainer.iteration}, saved as {path}; the same command goes on")
        return 130
    say(f"done: {path}")
    say(f"look at clips: python -m tsvan sample --checkpoint {out} --out {out / 'samples'}")
    return 0


def sample_command(args: argparse.Namespace) -> int:
    """Write one video a clip and a contact sheet with one clip a row."""
    loaded = checkpoint.load(args.checkpoint)
    labels = np.repeat(_labels(args.label, loaded.classes), args.clips)
    seeds = args.seed + np.arange(len(labels))
    networks = loaded.build_networks(pick_device(args.device))
    parts = []
    with progress("sampling") as move:
        for batch in generate(
            networks, seeds, labels, num_frames=loaded.config.data.num_frames, precision=loaded.config.precision
        ):
            parts.append(video.to_uint8(batch))
            move(sum(map(len, parts)), len(seeds))
    clips = np.concatenate(parts)
    write = video.write_mp4 if args.format == "mp4" else video.write_gif
    for seed, label, clip in zip(seeds, labels, clips, strict=True):
        name = re.sub(r"[^\w-]", "_", loaded.classes[label])  # a checkpoint's word must not lead out of the folder
        write(args.out / f"{name}-{seed:05d}.{args.format}", clip, scale=4)
    video.write_png(args.out / "sheet.png", video.contact_sheet(clips))
    say(f"{len(clips)} clips and sheet.png in {args.out}")
    return 0


def settings(pairs: list[str]) -> dict[str, Any]:
    """Parse `["lambda2=5", ...]` into `{"lambda2": 5}`. Refuse a pair without `=`, with a UserError."""
    result = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UserError(f"--set: expected KEY=VALUE, got '{pair}'")
        result[name.strip()] = parse_value(value)
    return result


def _train_config(args: argparse.Namespace, dataset: DatasetRules) -> TrainConfig:
    values = load_yaml(args.config) if args.config else {}
    named = values.get(MODEL_NAME) if isinstance(values, dict) else None
    if args.model and named and args.model != named:
        raise UserError(f"{args.config}: {MODEL_NAME} is '{named}', but --model says '{args.model}'; leave one out")
    config = published(dataset, args.model or named or FIRST_MODEL)
    if args.config:
        config = config.updated(values, str(args.config))
        if config.dataset != dataset.name:
            raise UserError(f"{args.config}: dataset is '{config.dataset}', but --dataset says '{dataset.name}'")
    if args.iterations is not None:
        config = config.scaled(args.iterations)
    if args.seed is not None:
        config = config.with_settings({"seed": args.seed}, "--seed")
    return config.with_settings(settings(args.set))


def _open_or_prepare(dataset: DatasetRules, data: Path, out: Path) -> ClipStore:
    if (data / "index.json").exists() or not data.is_dir():
        return ClipStore.open(data, dataset)
    prepared = out / "store"
    if not (prepared / "index.json").exists():
        with progress(f"preparing {data}") as move:
            prepare(dataset, data, prepared, progress=move)
    return ClipStore.open(prepared, dataset)


def _labels(label: str | None, classes: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    if label is None:
        return np.arange(len(classes))
    if label not in classes:
        raise UserError(f"--label: unknown class '{label}'; {nearest(label, classes)}")
    return np.array([classes.index(label)])
