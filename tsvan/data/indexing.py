"""The way from sources to the clips of a store: split, playback steps, labels; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tsvan.data.config import SplitRule
from tsvan.data.datasets import MIN_FRAMES, DatasetRules
from tsvan.data.raw.filenames import natural
from tsvan.data.splits import Part, Source, cut, playback
from tsvan.data.store import Clip, Rejection


@dataclass(frozen=True)
class Indexed:
    """What a store's index says of its clips.

    Args:
        clips: in the order of the sources.
        classes: those of the train split, in the dataset's order.
        people: persons, subjects, actors or speakers, sorted.
        unused: the parts that no window fits in or whose class is not trained on.
    """

    clips: tuple[Clip, ...]
    classes: tuple[str, ...]
    people: tuple[str, ...]
    unused: tuple[Rejection, ...]


def index_clips(rules: DatasetRules, sources: Sequence[Source], split: SplitRule) -> Indexed:
    """Split sources that lie one after another in a store's frames."""
    starts: dict[str, int] = {}
    row = 0
    for source in sources:
        starts[source.file] = row
        row += source.num_frames
    unused: list[Rejection] = []
    usable: list[tuple[Part, int, bool]] = []
    for part in cut(rules, sources, split):
        step = rules.frame_step(part.source.identity.class_name, part.source.rate)
        fits = playback(part.num_frames, step)
        if fits is None:
            reason = f"its {part.split} part has {part.num_frames} frames, a window needs {MIN_FRAMES}"
            unused.append(Rejection(part.source.file, reason))
        else:
            usable.append((part, *fits))
    trained = {part.source.identity.class_name for part, _, _ in usable if part.split == "train"}
    classes = [name for name in rules.classes or sorted(trained, key=natural) if name in trained]
    people = sorted({part.source.identity.subject for part, _, _ in usable}, key=natural)
    numbers = {person: number for number, person in enumerate(people)}
    clips = []
    for part, step, flagged in usable:
        who = part.source.identity
        if who.class_name not in trained:
            unused.append(Rejection(part.source.file, f"no clip of '{who.class_name}' is in the train split"))
            continue
        clips.append(
            Clip(
                start=starts[part.source.file] + part.first,
                num_frames=part.num_frames,
                label=classes.index(who.class_name),
                person=numbers[who.subject],
                split=part.split,
                frame_step=step,
                flagged=flagged,
                source=part.source.file,
                source_sha256=part.source.sha256,
            )
        )
    return Indexed(tuple(clips), tuple(classes), tuple(people), tuple(unused))
