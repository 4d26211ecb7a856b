"""`python -m tsvan score`: the metrics of one checkpoint, and how well it rebuilds held-out clips."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tsvan import checkpoint
from tsvan.checkpoint import Checkpoint
from tsvan.data.batches import trains_on_held_out
from tsvan.data.datasets import MIN_FRAMES
from tsvan.data.store import ClipStore
from tsvan.files import Progress, write_atomically
from tsvan.interface import ReconstructionErrors, implementation
from tsvan.sampling import generate
from tsvan.scoring.classifier import check_floor
from tsvan.scoring.config import ScorerConfig, published, quick
from tsvan.scoring.evaluator import Evaluator, Scores
from tsvan.scoring.groups import GROUPS, SampleGroup, sample_group
from tsvan.scoring.metrics import METRICS
from tsvan.scoring.seal import SEALED, choices_of, look, write_down
from tsvan.scoring.sensitivity import Sensitivity
from tsvan.scoring.training import scorer_path, train_or_load, trained_configs
from tsvan.terminal import progress, say
from tsvan.trainer import pick_device
from tsvan.validation import UserError

Subparsers = Any


def add_commands(subparsers: Subparsers) -> None:
    """Add `score` to a command line."""
    score = subparsers.add_parser("score", help="score a checkpoint", description=__doc__)
    score.add_argument("--checkpoint", type=Path, required=True, help="a .pt file, or the folder of a run")
    score.add_argument("--data", type=Path, help="the clip store (default: where the run had it)")
    score.add_argument("--group", choices=tuple(GROUPS), default="validation", help="default: validation")
    score.add_argument("--clips", type=int, help="clips to generate (default: the group's published size)")
    score.add_argument(
        "--scorer",
        choices=("auto", "published", "quick"),
        default="auto",
        help="the classifier's training; auto: the published one where it is trained already or a GPU is there, "
        "else the newest that was trained for these clips, as by a study, else a quick narrow one",
    )
    score.add_argument("--json", type=Path, help="write the numbers to this file as well")
    score.add_argument("--device", default="auto", help="auto, cpu or cuda")
    score.set_defaults(run=score_command)


def score_command(args: argparse.Namespace) -> int:
    """Generate a sample group, score it beside real, static, shuffled and noise clips, and print a table."""
    if args.clips is not None and args.clips < 2:
        raise UserError(f"--clips must be 2 or more, got {args.clips}")
    loaded = checkpoint.load(args.checkpoint)
    device = pick_device(args.device)
    store = _store(loaded, args.data)
    evaluator = _evaluator(store, args.scorer, device)
    scorer = evaluator.scorer
    networks = loaded.build_networks(device)
    group = sample_group(args.group, len(loaded.classes), args.clips)
    if group.name == SEALED:
        _look(args.checkpoint, loaded)
    with progress(f"scoring {group.num_clips} clips") as move:
        clips = generate(networks, group.seeds, group.labels, precision=loaded.config.precision)
        scores = evaluator.score(_counted(clips, group, move), group.labels, group=group.name, intervals=True)
    if (made := loaded.config.data.num_frames) > MIN_FRAMES:
        print(f"the scorer takes {MIN_FRAMES} frames: the first {MIN_FRAMES} of {made} that the model is trained on")
    if trains_on_held_out(loaded.config, store):
        say("note: split: paper: the real reference is training data")
    errors = implementation(loaded.config.model_name).reconstruction(networks, store, device)
    sensitivity = evaluator.sensitivity()
    print(_table(scores, sensitivity))
    if errors is not None:
        print(_reconstruction(errors))
    if args.json:
        values = {"checkpoint": str(args.checkpoint), "iteration": loaded.iteration, "scores": scores.to_dict()}
        values |= {"scorer": {"held_out": scorer.accuracies, "last": scorer.last_accuracies}}
        values |= {"sensitivity": sensitivity.to_dict()}
        values |= {} if errors is None else {"reconstruction": vars(errors)}
        write_atomically(args.json, json.dumps(values, indent=1))
    return 0


def _look(path: Path, loaded: Checkpoint) -> None:
    """Count a look at the sealed group. A run of a study needs its study's choice; a run alone has no rivals."""
    run = path if path.is_dir() else path.resolve().parent.parent
    choices = choices_of(path)
    if choices is None:
        choices = run / "choice.json"
        write_down(choices, {"run": {"hash": loaded.config.settings_hash}})
    say(f"look {look(choices, loaded.config, run / 'looks.jsonl')} at the sealed group '{SEALED}' for this run")


def _counted(clips: Iterable[Tensor], group: SampleGroup, move: Progress) -> Iterator[Tensor]:
    done = 0
    for batch in clips:
        yield batch
        done += len(batch)
        move(done, group.num_clips)


def _store(loaded: Checkpoint, data: Path | None) -> ClipStore:
    path = data or Path(loaded.store_path)
    if data is None and not path.exists():
        raise UserError(f"the run's clip store is no longer at {path}; name it with --data")
    store = ClipStore.open(path, loaded.config.dataset)
    if store.content_hash != loaded.store_hash:
        raise UserError(f"{path} is not the clip store that this run was trained on; name that one with --data")
    return store


def _evaluator(store: ClipStore, choice: str, device: torch.device) -> Evaluator:
    folder = store.path / "scorers"
    config = _scorer_config(store, folder, choice, device)
    with progress("training the scorer") as move:
        scorer = train_or_load(store, config, folder, device, move)
    last = scorer.last_accuracies
    heads = [f"{head} {accuracy:.3f} (last {last[head]:.3f})" for head, accuracy in scorer.accuracies.items()]
    say(f"scorer {scorer.hash[:12]}: held-out accuracy {', '.join(heads)}")
    if problem := check_floor(scorer, None):
        say(f"warning: {problem}")
    return Evaluator(scorer, store, device, cache_dir=folder)


def _scorer_config(store: ClipStore, folder: Path, choice: str, device: torch.device) -> ScorerConfig:
    full = published(store.rules)
    if choice == "published" or (choice == "auto" and (device.type == "cuda" or _trained(store, full, folder))):
        return full
    if choice == "auto":
        there = trained_configs(store, folder)
        if there:
            say("the published scorer is not trained here; the newest that is there is used")
            return there[0]
        say("no published scorer is trained yet; a quick one is used, whose scores compare only with each other")
    return quick(store.rules)


def _trained(store: ClipStore, config: ScorerConfig, folder: Path) -> bool:
    return scorer_path(store, config, folder).exists()


def _table(scores: Scores, sensitivity: Sensitivity) -> str:
    kinds = list(sensitivity.rows)
    lines = [
        f"group {scores.group}, N = {scores.num_clips}, scorer {scores.scorer_hash[:12]}; "
        f"real and broken clips: N = {sensitivity.num_clips}, distances of {sensitivity.num_distance_clips}",
        f"{'metric':<20}{'generated':>12}" + "".join(f"{kind:>12}" for kind in kinds),
    ]
    for name, value in scores.values.items():
        others = "".join(f"{sensitivity.rows[kind][name]:>12.4f}" for kind in kinds)
        notes = [METRICS[name].title]
        if name in scores.intervals:
            notes.append("95% over clips [{:.4f}, {:.4f}]".format(*scores.intervals[name]))
        if name == "frechet_distance" and not scores.frechet_comparable:
            notes.append("not comparable: fewer than 1,024 clips")
        lines.append(f"{name:<20}{value:>12.4f}{others}   {'; '.join(notes)}")
    real = ", ".join(f"{name} {value:.4f}" for name, value in scores.real.values.items())
    lines.append(f"real against real, N = {scores.real.num_clips}: {real}")
    return "\n".join(lines)


def _reconstruction(errors: ReconstructionErrors) -> str:
    return (
        f"reconstruction of {errors.num_clips} held-out clips (mean squared error): "
        f"content stream {errors.content:.5f}, rolled out {errors.sequence:.5f}, mean frame {errors.mean_frame:.5f}"
    )
