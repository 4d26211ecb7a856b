"""Which frames train and which are held out; pure functions of names and lengths (supplement, B.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tsvan.data.config import SplitRule
from tsvan.data.datasets import MIN_FRAMES, DatasetRules, HeldOut, span
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
    """A run of frames [first, first + num_frames) of a source as it is stored, on one side of the split."""

    source: Source
    first: int
    num_frames: int
    split: Split


def cut(rules: DatasetRules, sources: Sequence[Source], split: SplitRule = "supplement") -> list[Part]:
    """Split all sources of a dataset. A part may turn out to be too short for a window; the store leaves it out.

    Args:
        rules: the dataset, with its rule of what is held out.
        sources: all of them.
        split: whose rule; the release differs from the supplement where the dataset says so.
    """
    held_out = rule_of(rules, split)
    if held_out.by == "time":
        return _by_time(rules, held_out, sources)
    if held_out.by == "phase":
        return [part for source in sources for part in _phased(rules, source, (rules.phases - 1,))]
    if held_out.by == "index":
        return _by_index(rules, held_out, sources)
    return _by_whole_ones(rules, held_out, sources)


def rule_of(rules: DatasetRules, split: str) -> HeldOut:
    """Return the rule of what is held out."""
    released = rules.released_held_out if split == "release" else None
    return released or rules.held_out


def phases(rules: DatasetRules, identity: Identity) -> int:
    """Return how many clips a source is split into by phase; its frames are stored phase by phase."""
    return rules.phases if identity.index is None else 1


def playback(num_frames: int, step: int) -> tuple[int, bool] | None:
    """Return a clip's playback step and whether it had to fall back to 1; None: too short even for that."""
    if num_frames >= span(MIN_FRAMES, step):
        return step, False
    return (1, True) if num_frames >= MIN_FRAMES else None


def _by_time(rules: DatasetRules, held_out: HeldOut, sources: Sequence[Source]) -> list[Part]:
    """Split each file in time: its end tests."""
    parts = []
    for source in sources:
        border = source.num_frames * (held_out.one_in - 1) // held_out.one_in
        gap = _window(rules, source) if held_out.gap else 0
        if border > gap:
            parts.append(Part(source, 0, border - gap, "train"))
        parts.append(Part(source, border, source.num_frames - border, "test"))
    return parts


def _by_whole_ones(rules: DatasetRules, held_out: HeldOut, sources: Sequence[Source]) -> list[Part]:
    """Hold out whole subjects, takes or files, with all their phases."""
    groups: dict[str, dict[str, list[Source]]] = defaultdict(lambda: defaultdict(list))
    for source in sources:
        groups[_group(held_out, source)][_unit(held_out, source)].append(source)
    tested: set[str] = set()
    in_time: dict[str, list[Part]] = {}
    for units in groups.values():
        if len(units) == 1 and held_out.lone is not None:
            (alone,) = units.values()
            in_time |= {source.file: [] for source in alone}
            in_time[alone[0].file] = _last_in_time(rules, held_out.lone, alone)
        else:
            tested |= _picked(held_out, sorted(units, key=natural))
    every = range(rules.phases)
    parts: list[Part] = []
    for source in sources:
        if source.file in in_time:
            parts += in_time[source.file]
        else:
            parts += _phased(rules, source, every if _unit(held_out, source) in tested else ())
    return parts


def _group(held_out: HeldOut, source: Source) -> str:
    """Name the group of sources out of which the share is held out."""
    if held_out.by == "subject" or held_out.within == "all":
        return ""
    return source.identity.subject if held_out.within == "subject" else source.identity.class_name


def _unit(held_out: HeldOut, source: Source) -> str:
    """Name what is on one side of the split as a whole."""
    who = source.identity
    if held_out.by == "file":
        return source.file
    return who.subject if held_out.by == "subject" else f"{who.subject}_{who.class_name}_{who.take}"


def _picked(held_out: HeldOut, units: Sequence[str]) -> set[str]:
    """Pick the held-out units, given in order: the last, at least one, or every n-th. One alone is never held out."""
    if held_out.pick == "every":
        return set(units[held_out.one_in - 1 :: held_out.one_in])
    return set(units[-max(1, round(len(units) / held_out.one_in)) :]) if len(units) > 1 else set()


def _phased(rules: DatasetRules, source: Source, held_out: Container[int]) -> list[Part]:
    """Return a source's phases as parts, those held out to test; a published part is one phase."""
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


def _by_index(rules: DatasetRules, held_out: HeldOut, sources: Sequence[Source]) -> list[Part]:
    """Hold out one index in `one_in`, another one for each subject, class and take (SynAction)."""
    subjects = _numbers(source.identity.subject for source in sources)
    takes = _numbers(source.identity.take for source in sources)
    classes = rules.classes or sorted({source.identity.class_name for source in sources}, key=natural)
    parts = []
    for source in sources:
        who = source.identity
        number = synaction_index(subjects[who.subject], classes.index(who.class_name), takes[who.take], held_out.one_in)
        parts.append(Part(source, 0, source.num_frames, "test" if who.index == number else "train"))
    return parts


def synaction_index(actor: int, action: int, sequence: int, one_in: int = 15) -> int:
    """Return the index held out of a SynAction sequence: one in fifteen, another one for each sequence."""
    return ((actor * 20 + action) * 2 + sequence) % one_in


def _numbers(ids: Iterable[str]) -> dict[str, int]:
    """Number ids: if all are numbers, they stand for themselves, else for their positions in sorted order."""
    distinct = _sorted_ids(ids)
    if all(name.isdecimal() for name in distinct):
        return {name: int(name) for name in distinct}
    return {name: position for position, name in enumerate(distinct)}


def _last_in_time(rules: DatasetRules, lone: int, sources: list[Source]) -> list[Part]:
    """Split the files of one take, in its time: the last 1/lone of all frames is held out, and one window before it is
    used by neither side, even where files meet. Nothing is held out of a take that is too short for both."""
    in_time = sorted(sources, key=lambda source: (source.identity.index or 0, natural(source.file)))
    total = sum(source.num_frames for source in in_time)
    border = total - total // lone
    gap = max(_window(rules, source) for source in in_time)
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


def _window(rules: DatasetRules, source: Source) -> int:
    """Count the source frames of a window of a source."""
    return span(MIN_FRAMES, rules.frame_step(source.identity.class_name, source.rate))


def _sorted_ids(ids: Iterable[str]) -> list[str]:
    return sorted(set(ids), key=natural)
