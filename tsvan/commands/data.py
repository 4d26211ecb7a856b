"""`python -m tsvan data inspect | prepare | draw | show`: raw videos, clip stores, and looking at both."""

from __future__ import annotations

import argparse
import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from tsvan.commands.train import settings
from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import DATASETS
from tsvan.data.raw import inspection
from tsvan.data.raw.prepare import prepare
from tsvan.data.raw.proposal import to_yaml
from tsvan.data.sheets import centring_sheet, store_sheet
from tsvan.data.standin.drawing import draw
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.terminal import progress, say
from tsvan.validation import UserError, build, load_yaml

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_LISTED = 20
"""Rejected files printed one by one; the index has them all."""


def add_commands(subparsers: Commands) -> None:
    """Add `data` with its own commands; each sets `args.run`, which takes the arguments and returns the exit code."""
    parser = subparsers.add_parser("data", help="make clip stores from videos, draw stand-in videos, look at both")
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")

    command = commands.add_parser("inspect", help="say what a folder of videos is and would give; write no store")
    command.add_argument("source", type=Path, metavar="DIR", help="folder of videos, zips, pictures or .npy clips")
    command.add_argument("--dataset", help="whose rules apply (default: by the names)")
    _add_reading(command)
    command.add_argument("--sample", type=int, help="look into this many clips only, spread over the folder")
    command.add_argument("--sheet", type=Path, help="the contact sheet (default: inspect-DATASET.png)")
    command.add_argument("--write", type=Path, metavar="FILE.yaml", help="write the dataset that is proposed")
    command.set_defaults(run=_inspect)

    command = commands.add_parser("prepare", help="build a clip store from a folder of videos")
    command.add_argument(
        "--dataset", required=True, help=f"whose file names and rules apply: {', '.join(DATASETS)}, or your own YAML"
    )
    command.add_argument("--source", required=True, type=Path, help="folder of videos, zips, pictures or .npy clips")
    command.add_argument("--out", required=True, type=Path, help="the store's folder, made by this command")
    _add_reading(command)
    command.add_argument("--workers", type=int, help="processes (default: one a core)")
    command.set_defaults(run=_prepare)

    command = commands.add_parser("draw", help="draw a clip store of stand-in videos")
    command.add_argument("--dataset", required=True, help=f"whose classes and rules apply: {', '.join(DATASETS)}")
    command.add_argument("--out", required=True, type=Path, help="the store's folder, made by this command")
    command.add_argument("--size", choices=("small", "large"), default="small", help="how much")
    command.add_argument("--seed", type=int, default=0, help="of the people and their motion (default: %(default)s)")
    command.set_defaults(run=_draw)

    command = commands.add_parser(
        "show", help="check every frame of a store, say what is in it, draw a sheet of its clips"
    )
    command.add_argument("--store", required=True, type=Path, help="the store's folder")
    command.add_argument("--out", type=Path, help="a .png to write: one clip a row, ten frames at its own step")
    command.add_argument("--clips", type=int, default=16, help="rows of the sheet (default: %(default)s)")
    command.set_defaults(run=_show)


def _add_reading(command: argparse.ArgumentParser) -> None:
    command.add_argument("--list", type=Path, metavar="FILE", help="use only these subjects and clips, one a line")
    command.add_argument("--follow-links", action="store_true", help="search folders that links lead to, too")
    command.add_argument("--config", type=Path, help="YAML of split and centring (keys: docs/datasets.md)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one such key, as face_margin=0.4"
    )
    command.add_argument(
        "--max-bad-share",
        type=float,
        default=0.1,
        help="fail when more than this share of the files cannot be used (default: %(default)s)",
    )


def describe(store: ClipStore) -> str:
    """Describe what is in a store, in a few lines for the terminal."""
    seconds = f"{len(store.frames):,} frames of {store.side} x {store.side}, {store.frames.nbytes / 1e6:,.0f} MB"
    train, test = store.split("train"), store.split("test")
    people = len([person for person in store.people if person])
    split = store.split_rule if store.rules.ships else f"by {store.rules.held_out.by}"
    lines = [
        f"{store.path}: {store.dataset}, {store.data_source}; {seconds}",
        f"  clips: {len(train)} train, {len(test)} test" + (f"; people: {people}" if people else ""),
        f"  classes: {store.num_classes} ({', '.join(store.classes)})",
        f"  content hash: {store.content_hash}",
        f"  split: {split}" + (f"; centring: {store.centring}" if store.centring else ""),
    ]
    flagged = sum(clip.flagged for clip in store.clips)
    if flagged:
        lines.append(f"  {flagged} clips are too short for their playback step and are played at step 1")
    if not test:
        lines.append("  no clip is held out: generated video cannot be scored on this store")
    for title, pairs in (("rejected", store.rejected), ("left out", store.left_out)):
        if pairs:
            lines.append(f"  {title}: {len(pairs)}")
            lines += [f"    {file}: {reason}" for file, reason in pairs[:_LISTED]]
        if len(pairs) > _LISTED:
            lines.append(f"    and {len(pairs) - _LISTED} more, all in {store.path / 'index.json'}")
    return "\n".join(lines)


def _inspect(args: argparse.Namespace) -> int:
    if args.sample is not None and args.sample < 1:
        raise UserError(f"--sample must be >= 1, got {args.sample}")
    _check_png("--sheet", args.sheet)
    if args.write and args.write.suffix.lower() not in (".yaml", ".yml"):
        raise UserError(f"--write must be a .yaml file, got {args.write}")
    if args.write and args.dataset:
        raise UserError("--write proposes a dataset of your own; leave --dataset out")
    with progress("looking") as move:
        found = inspection.inspect(
            args.source,
            args.dataset,
            config=_config(args),
            picks=args.list,
            follow_links=args.follow_links,
            name=args.write.stem if args.write else None,
            sample=args.sample,
            max_bad_share=args.max_bad_share,
            progress=move,
        )
    print(inspection.describe(found))
    if found.shown:
        path = args.sheet or Path(f"inspect-{found.rules.name}.png")
        _write_png(path, centring_sheet(found.shown))
        print(f"sheet, before and after centring: {path}")
    if found.problem:
        say(f"error: {found.problem}")
        return 2
    print(f"next: {_next(found, args)}")
    return 0


def _next(found: inspection.Inspection, args: argparse.Namespace) -> str:
    """Write the proposal, or say how; return the command that goes on from here."""
    source = shlex.quote(str(args.source))
    if found.proposed and not args.write:
        return f"python -m tsvan data inspect {source} --write my-{found.rules.name}.yaml, which writes this proposal"
    dataset = args.dataset or found.rules.name
    if found.proposed:
        _write(args.write, to_yaml(found.rules))
        print(f"proposal: {args.write}; read it, and change what is not so")
        dataset = args.write
    out = f"stores/{found.rules.name}"
    return f"python -m tsvan data prepare --dataset {shlex.quote(str(dataset))} --source {source} --out {out}"


def _prepare(args: argparse.Namespace) -> int:
    if args.workers is not None and args.workers < 0:
        raise UserError(f"--workers must be >= 0, got {args.workers}")
    with progress("preparing") as move:
        store = prepare(
            args.dataset,
            args.source,
            args.out,
            config=_config(args),
            picks=args.list,
            follow_links=args.follow_links,
            max_bad_share=args.max_bad_share,
            workers=args.workers,
            progress=move,
        )
    return _done(store, args.dataset)


def _config(args: argparse.Namespace) -> PrepareConfig:
    values: dict[str, Any] = {}
    if args.config:
        loaded = load_yaml(args.config)
        build(PrepareConfig, loaded, str(args.config))
        values |= loaded
    return build(PrepareConfig, {**values, **settings(args.set)}, "--set" if args.set else str(args.config))


def _draw(args: argparse.Namespace) -> int:
    if args.seed < 0:
        raise UserError(f"--seed must be >= 0, got {args.seed}")
    with progress("drawing") as move:
        store = draw(args.dataset, args.out, size=args.size, seed=args.seed, progress=move)
    return _done(store, args.dataset)


def _show(args: argparse.Namespace) -> int:
    if args.clips < 1:
        raise UserError(f"--clips must be >= 1, got {args.clips}")
    _check_png("--out", args.out)
    store = ClipStore.open(args.store)
    store.verify()
    print(describe(store))
    if args.out:
        _write_png(args.out, store_sheet(store, args.clips))
        print(f"sheet: {args.out}")
    return 0


def _done(store: ClipStore, dataset: str) -> int:
    print(describe(store))
    print(f"next: python -m tsvan train --dataset {shlex.quote(dataset)} --data {shlex.quote(str(store.path))}")
    return 0


def _check_png(option: str, path: Path | None) -> None:
    if path and path.suffix.lower() != ".png":
        raise UserError(f"{option} must be a .png file, got {path}")


def _write_png(path: Path, picture: Image.Image) -> None:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    _write(path, buffer.getvalue())


def _write(path: Path, content: bytes | str) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from None
