"""`make`: two sources of clips -> a study's folder, whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.user_study.page import render
from analysis.user_study.pairs import ClipNames, Side, draw_names, draw_pairs, show_both_orders
from analysis.user_study.sources import MOST_SIDE, Clips, Source, open_source, resized
from analysis.user_study.study import Compared, StudyFolder, StudyRecord, study_id
from tsvan.files import make_folder, write_atomically
from tsvan.random_draws import stream
from tsvan.terminal import progress, say
from tsvan.validation import UserError
from tsvan.video import Pixels, write_mp4

FEWEST_CLIPS = 200
"""Of a side, over all classes, by default: fewer say more about single clips than about their generator."""

_STREAM = 0x0B3


@dataclass(frozen=True)
class Options:
    """What a study is to be made of, and where.

    Args:
        a: a checkpoint, a run's folder or a folder of videos.
        b: the same of the other side.
        name_a: what tables call side a.
        name_b: what tables call side b.
        out: the study's folder, made here.
        num_showings: in all; half as many pairs, each in both orders.
        per_rater: showings that one rater is asked.
        clips: of each class and side; None: 10, and `FEWEST_CLIPS` over all classes.
        seed: of every draw.
        device: on which checkpoints generate.
    """

    a: Path
    b: Path
    name_a: str
    name_b: str
    out: Path
    num_showings: int = 2_000
    per_rater: int = 50
    clips: int | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.num_showings < 2 or self.num_showings % 2:
            raise UserError(
                f"--pairs must be even, 2 or more (each pair is shown in both orders), got {self.num_showings}"
            )
        for option, value in (("--per-rater", self.per_rater), ("--clips", self.clips)):
            if value is not None and value < 1:
                raise UserError(f"{option} must be 1 or more, got {value}")
        if not 0 <= self.seed < 2**30:
            raise UserError(f"--seed must be from 0 to {2**30 - 1}, got {self.seed}")
        if self.name_a == self.name_b:
            raise UserError(f"both sides are named '{self.name_a}'; change --name-a or --name-b")


def make(options: Options) -> StudyRecord:
    """Make a study.

    Raises:
        UserError: `out` is taken, or the sources can't be used.
    """
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise UserError(f"{options.out} is taken; name another --out, or remove it with all its answers")
    sources = open_source(options.a, options.device), open_source(options.b, options.device)
    labels = _shared_labels(*sources)
    per_label = options.clips or max(10, -(-FEWEST_CLIPS // len(labels)))
    clips = [_taken(name, source, labels, per_label, options.seed) for name, source in zip("ab", sources, strict=True)]
    a, b = alike(*clips)
    rng = stream(options.seed, _STREAM)
    counts = {label: (len(a[label]), len(b[label])) for label in labels}
    pairs = draw_pairs(counts, options.num_showings // 2, rng)
    names = draw_names(pairs, rng)
    showings = show_both_orders(pairs, names, rng)
    record = StudyRecord(
        id=study_id(showings),
        a=Compared(options.name_a, str(options.a)),
        b=Compared(options.name_b, str(options.b)),
        seed=options.seed,
        labels=labels,
        per_rater=min(options.per_rater, len(showings)),
        showings=showings,
    )
    with _whole(options.out) as folder:
        _write(folder, record, names, {"a": a, "b": b})
    return record


def alike(a: Clips, b: Clips) -> tuple[Clips, Clips]:
    """Make all clips as long as the shortest and as large as the smallest: length or size would tell the side."""
    clips = [clip for side in (a, b) for found in side.values() for clip in found]
    num_frames = min(len(clip) for clip in clips)
    edge = min(clip.shape[1] for clip in clips)

    def cut(clip: Pixels) -> Pixels:
        return np.stack([resized(frame, edge) for frame in clip[:num_frames]])

    first, second = ({label: [cut(clip) for clip in found] for label, found in side.items()} for side in (a, b))
    return first, second


def _shared_labels(a: Source, b: Source) -> tuple[str, ...]:
    labels = tuple(label for label in a.labels if label in b.labels)
    if not labels:
        raise UserError(
            f"the sides have no class in common: {', '.join(a.labels[:8])} against {', '.join(b.labels[:8])}; "
            f"name videos <class>_<anything>, with the classes of the other side"
        )
    left_out = sorted({*a.labels, *b.labels} - set(labels))
    if left_out:
        say(f"note: left out, as only one side has them: {', '.join(left_out)}")
    return labels


def _taken(name: str, source: Source, labels: tuple[str, ...], per_label: int, seed: int) -> Clips:
    with progress(f"clips of side {name}") as move:
        return source.take(labels, per_label, seed, move)


@contextmanager
def _whole(out: Path) -> Iterator[StudyFolder]:
    """Yield a folder beside `out` that gets its name when the block ends well, and is removed when not."""
    make_folder(out.absolute().parent)
    partial = out.absolute().with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        yield StudyFolder(partial)
        os.replace(partial, out.absolute())
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(folder: StudyFolder, record: StudyRecord, names: ClipNames, clips: dict[Side, Clips]) -> None:
    places = {name: place for place, name in names.items()}
    with progress("writing clips") as move:
        for done, name in enumerate(sorted(places), start=1):  # by the random name: a file's date tells nothing either
            side, label, number = places[name]
            clip = clips[side][label][number]
            write_mp4(folder.clip(name), clip, scale=max(1, MOST_SIDE // clip.shape[1]))
            move(done, len(places))
    write_atomically(folder.index, render(record))
    write_atomically(folder.truth, record.to_json())
