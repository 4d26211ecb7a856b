"""`python -m tsvan data prepare | draw | show`: making clip stores and looking at them."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tsvan.config import DATASETS
from tsvan.data.datasets import MIN_FRAMES
from tsvan.data.prepare import prepare
from tsvan.data.standin import AMOUNTS, draw
from tsvan.data.store import ClipStore
from tsvan.files import Progress, write_atomically
from tsvan.strict import UserError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_LISTED = 20
"""Rejected files printed one by one; the index has them all."""


def add_commands(subparsers: Commands) -> None:
    """Add `data` with its own commands; each sets `args.run`, which takes the arguments and returns the exit code."""
    parser = subparsers.add_parser("data", help="make clip stores from videos, draw stand-in videos, look at a store")
    commands = parser.add_subparsers(dest="data_command", required=True, metavar="COMMAND")

    command = commands.add_parser("prepare", help="build a clip store from a folder of videos")
    command.add_argument("--dataset", required=True, help=f"whose file names and rules apply: {', '.join(DATASETS)}")
    command.add_argument("--source", required=True, type=Path, help="folder of video files and .npy clips")
    command.add_argument("--out", required=True, type=Path, help="the store's folder, made by this command")
    command.add_argument(
        "--max-bad-share",
        type=float,
        default=0.1,
        help="fail when more than this share of the files cannot be used (default: %(default)s)",
    )
    command.set_defaults(run=_prepare)

    command = commands.add_parser("draw", help="draw a clip store of stand-in videos")
    command.add_argument("--dataset", required=True, help=f"whose classes and rules apply: {', '.join(DATASETS)}")
    command.add_argument("--out", required=True, type=Path, help="the store's folder, made by this command")
    command.add_argument("--size", choices=sorted(AMOUNTS["vox"], reverse=True), default="small", help="how much")
    command.add_argument("--seed", type=int, default=0, help="of the people and their motion (default: %(default)s)")
    command.set_defaults(run=_draw)

    command = commands.add_parser(
        "show", help="check every frame of a store, say what is in it, draw a sheet of its clips"
    )
    command.add_argument("--store", required=True, type=Path, help="the store's folder")
    command.add_argument("--out", type=Path, help="a .png to write: one clip a row, ten frames at its own step")
    command.add_argument("--clips", type=int, default=16, help="rows of the sheet (default: %(default)s)")
    command.set_defaults(run=_show)


def describe(store: ClipStore) -> str:
    """What is in a store, a few lines for the terminal."""
    seconds = f"{len(store.frames):,} frames of {store.side} x {store.side}, {store.frames.nbytes / 1e6:,.0f} MB"
    train, test = store.split("train"), store.split("test")
    lines = [
        f"{store.path}: {store.dataset}, {store.data_source}; {seconds}",
        f"  clips: {len(train)} train, {len(test)} test; people: {len(store.people)}",
        f"  classes: {store.num_classes} ({', '.join(store.classes)})",
        f"  content hash: {store.content_hash}",
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


def sheet(store: ClipStore, num_clips: int) -> Image.Image:
    """Clips spread over the store, one a row: the first ten frames at the clip's own step."""
    picked = np.unique(np.linspace(0, len(store.clips) - 1, min(num_clips, len(store.clips))).round().astype(int))
    rows = []
    for number in picked:
        clip = store.clips[number]
        frames = store.frames[clip.start + clip.frame_step * np.arange(MIN_FRAMES)]  # (T, S, S, 3)
        rows.append(np.concatenate(list(frames), axis=1))
    return Image.fromarray(np.concatenate(rows, axis=0))


def _prepare(args: argparse.Namespace) -> int:
    with _bar("preparing") as progress:
        store = prepare(args.dataset, args.source, args.out, max_bad_share=args.max_bad_share, progress=progress)
    return _done(store)


def _draw(args: argparse.Namespace) -> int:
    if args.seed < 0:
        raise UserError(f"--seed must be >= 0, got {args.seed}")
    with _bar("drawing") as progress:
        store = draw(args.dataset, args.out, size=args.size, seed=args.seed, progress=progress)
    return _done(store)


def _show(args: argparse.Namespace) -> int:
    if args.clips < 1:
        raise UserError(f"--clips must be >= 1, got {args.clips}")
    if args.out and args.out.suffix.lower() != ".png":
        raise UserError(f"--out must be a .png file, got {args.out}")
    store = ClipStore.open(args.store)
    store.verify()
    print(describe(store))
    if args.out:
        buffer = io.BytesIO()
        sheet(store, args.clips).save(buffer, format="PNG")
        write_atomically(args.out, buffer.getvalue())
        print(f"sheet: {args.out}")
    return 0


def _done(store: ClipStore) -> int:
    print(describe(store))
    print(f"next: python -m tsvan train --dataset {store.dataset} --data {store.path}")
    return 0


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    """A progress bar with the time that is left, on stderr."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    bar = Bar(
        *columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=Console(file=sys.stderr)
    )
    task = bar.add_task(title, total=None)

    def show(done: int, total: int) -> None:
        bar.start()  # not before: a command that is refused shows its error alone
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
