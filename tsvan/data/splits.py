"""Which frames train and which are held out; pure functions of names and lengths (supplement, B.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tsvan.data.config import SplitRule
from tsvan.data.datasets import MIN_FRAMES, DatasetRules, span
from tsvan.data.raw.filenames import Identity, natural

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Source:
    """A source file whose frames are in a store.

    Args:
        file: path below the source folder, with forward slashes.
        identity: what its name says.
        num_frames: frames decoded.
        rate: frames per second, None when the file does not say.
        sha256: hash of the file, hex.
    """

    file: str
    identity: Identity
    num_frames: int
    rate: float | None
    sha256: str


@dataclass(frozen=True)
class Part:
    """Frames [first, first + num_frames) of a source as it is stored, on one side of the split."""

    source: Source
    first: int
    num_frames: int
    split: Split


def cut(rules: DatasetRules, sources: Sequence[Source], split: SplitRule = "supplement") -> list[Part]:
    """Split all sources of a dataset. A part may turn out to be too short for a window; the store leaves it out.

    Weizmann: the first 2/3 of each video train, the rest is held out. MUG: takes sorted by id, every fifth held out,
    with all its parts. SynAction: index ((actor * 20 + action) * 2 + sequence) mod 15 of each sequence is held out.
    VoxCeleb: 5% of each speaker's source videos, at least one; for a speaker with one, its last fifth.

    The release splits as the supplement does but for MUG, where it holds out every fourth phase of each take.
    """
    if split == "release" and rules.name == "mug":
        return _mug_by_phase(rules, sources)
    return _CUTTERS[rules.name](rules, sources)


def phases(rules: DatasetRules, identity: Identity) -> int:
    """How many clips a source is split into by phase; its frames are stored phase by phase."""
    return rules.phases if identity.index is None else 1


def playback(num_frames: int, step: int) -> tuple[int, bool] | None:
    """Playback step of a clip and whether it had to fall back to 1; None: too short even for that."""
    if num_frames >= span(MIN_FRAMES, step):
        return step, False
    return (1, True) if num_frames >= MIN_FRAMES else None


def _weizmann(rules: DatasetRules, sources: Sequence[Source]) -> list[Part]:
    parts = []
    for source in sources:
        border = source.num_frames * 2 // 3
        parts.append(Part(source, 0, border, "train"))
        parts.append(Part(source, border, source.num_frames - border, "test"))
    return parts


def _mug(rules: DatasetRules, sources: Sequence[Source]) -> list[Part]:
    takes = _sorted_ids(_take(source) for source in sources)
    held_out = {take for position, take in enumerate(takes) if position % 5 == 4}
    every = range(rules.phases)
    return [part for source in sources for part in _phased(rules, source, every if _take(source) in held_out else ())]


def _mug_by_phase(rules: DatasetRules, sources: Sequence[Source]) -> list[Part]:
    return [part for source in sources for part in _phased(rules, source, (rules.phases - 1,))]


def _phased(rules: DatasetRules, source: Source, held_out: Container[int]) -> list[Part]:
    """A source's phases as parts, those held out to test; a published part is one phase."""
    if source.identity.index is not None:
        phase = source.identity.index % rules.phases
        return [Part(source, 0, source.num_frames, "test" if phase in held_out else "train")]
    parts = []
    first = 0
    for phase in range(rules.phases):
        length = len(range(phase, source.num_frames, rules.phases))
        parts.append(Part(source, first, length, "test" if phase in held_out else "train"))
        first += length
    return parts


def _take(source: Source) -> str:
    return f"{source.identity.person}_{source.identity.action}_{source.identity.recording}"


def _synaction(rules: DatasetRules, sources: Sequence[Source]) -> list[Part]:
    actors = _numbers(source.identity.person for source in sources)
    sequences = _numbers(source.identity.recording for source in sources)
    parts = []
    for source in sources:
        who = source.identity
        held_out = synaction_index(actors[who.person], rules.classes.index(who.action), sequences[who.recording])
        parts.append(Part(source, 0, source.num_frames, "test" if who.index == held_out else "train"))
    return parts


def synaction_index(actor: int, action: int, sequence: int) -> int:
    """The index held out of a SynAction sequence: one in fifteen, another one for each sequence."""
    return ((actor * 20 + action) * 2 + sequence) % 15


def _numbers(ids: Iterable[str]) -> dict[str, int]:
    """Ids that are all numbers stand for themselves; names stand for their position in sorted order."""
    distinct = _sorted_ids(ids)
    if all(name.isdecimal() for name in distinct):
        return {name: int(name) for name in distinct}
    return {name: position for position, name in enumerate(distinct)}


def _vox(rules: DatasetRules, sources: Sequence[Source]) -> list[Part]:
    by_video: dict[str, dict[str, list[Source]]] = defaultdict(lambda: defaultdict(list))
    for source in sources:
        by_video[source.identity.person][source.identity.recording].append(source)
    parts = []
    for videos in by_video.values():
        if len(videos) == 1:
            (only,) = videos.values()
            parts += _last_fifth(rules, only)
            continue
        names = _sorted_ids(videos)
        held_out = names[-max(1, round(len(names) / 20)) :]
        for name in names:
            split: Split = "test" if name in held_out else "train"
            parts += [Part(source, 0, source.num_frames, split) for source in videos[name]]
    return parts


def _last_fifth(rules: DatasetRules, sources: list[Source]) -> list[Part]:
    """The files of one video, in its time: the last fifth of all frames is held out, and one window before it is used
    by neither side, even where files meet. Nothing is held out of a video that is too short for both."""
    in_time = sorted(sources, key=lambda source: (source.identity.index or 0, natural(source.file)))
    total = sum(source.num_frames for source in in_time)
    border = total - total // 5
    gap = max(span(MIN_FRAMES, rules.frame_step(source.identity.action, source.rate)) for source in in_time)
    parts = []
    begin = 0
    for source in in_time:
        trained = min(max(border - gap - begin, 0), source.num_frames)
        tested = min(max(border - begin, 0), source.num_frames)
        if trained:
            parts.append(Part(source, 0, trained, "train"))
        if tested < source.num_frames:
            parts.append(Part(source, tested, source.num_frames - tested, "test"))
        begin += source.num_frames
    usable = {part.split for part in parts if part.num_frames >= MIN_FRAMES}
    if usable == {"train", "test"}:
        return parts
    return [Part(source, 0, source.num_frames, "train") for source in in_time]


def _sorted_ids(ids: Iterable[str]) -> list[str]:
    return sorted(set(ids), key=natural)


_CUTTERS: dict[str, Callable[[DatasetRules, Sequence[Source]], list[Part]]] = {
    "weizmann": _weizmann,
    "mug": _mug,
    "synaction": _synaction,
    "vox": _vox,
}
