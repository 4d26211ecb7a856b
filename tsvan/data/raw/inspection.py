"""What a folder of raw videos would give: read as `prepare` reads it, without writing a store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import DATASETS, DatasetRules, rules
from tsvan.data.indexing import Indexed, index_clips
from tsvan.data.raw.doubles import Doubles
from tsvan.data.raw.filenames import Identity
from tsvan.data.raw.listing import Candidate, Listing, describe_forms, list_folder
from tsvan.data.raw.prepare import check_share, describe_centring, requests_for
from tsvan.data.raw.proposal import fitted, propose
from tsvan.data.raw.reader_pool import default_workers, read_all
from tsvan.data.raw.reading import Reading, Refusal, Request
from tsvan.data.raw.recognition import recognise
from tsvan.data.store import Rejection
from tsvan.files import Progress
from tsvan.validation import UserError


@dataclass(frozen=True)
class Inspection:
    """What an inspection found in a folder.

    Args:
        rules: the dataset.
        source: the folder.
        listing: its files by their names.
        readings: clips that were read, without their frames.
        refusals: clips that were looked into and are not used.
        indexed: the clips that a store of the readings would have.
        config: split and centring.
        problem: why `prepare` would refuse the folder; empty: it would not.
        proposed: the dataset is none of those that ship and was not given: it is a proposal.
    """

    rules: DatasetRules
    source: Path
    listing: Listing
    readings: tuple[Reading, ...]
    refusals: tuple[Refusal, ...]
    indexed: Indexed
    config: PrepareConfig
    problem: str
    proposed: bool

    @property
    def rejected(self) -> tuple[Rejection, ...]:
        """Return the files that cannot be used."""
        return (*self.listing.rejected, *self._refused(bad=True))

    @property
    def left_out(self) -> tuple[Rejection, ...]:
        """Return the files that the rules do not use, or that cannot be centred."""
        return (*self.listing.left_out, *self._refused(bad=False), *self.indexed.unused)

    @property
    def used(self) -> tuple[Candidate, ...]:
        """Return the clips by their names, but for those that the rules do not use."""
        refused = {refusal.file for refusal in self.refusals if not refusal.bad}
        return tuple(candidate for candidate in self.listing.candidates if candidate.file not in refused)

    @property
    def shown(self) -> tuple[Reading, ...]:
        """Return the readings that have pictures."""
        return tuple(reading for reading in self.readings if len(reading.before))

    def _refused(self, *, bad: bool) -> list[Rejection]:
        return [Rejection(refusal.file, refusal.reason) for refusal in self.refusals if refusal.bad == bad]


def inspect(
    source: Path,
    dataset: str | DatasetRules | None = None,
    *,
    config: PrepareConfig | None = None,
    picks: Path | None = None,
    follow_links: bool = False,
    name: str | None = None,
    num_shown: int = 12,
    sample: int | None = None,
    max_bad_share: float = 0.1,
    progress: Progress | None = None,
) -> Inspection:
    """Read a folder as `prepare` would.

    Args:
        source: the folder.
        dataset: whose; None: by its names.
        config: split and centring.
        picks: a file that lists the subjects and clips to use.
        follow_links: look into folders that links lead to, too.
        name: propose a dataset of this name, whatever the files are called; None: only if they are of none that ships.
        num_shown: clips of which pictures are kept.
        sample: look into this many clips, spread over the folder; None: all.
        max_bad_share: as of `prepare`.
        progress: called with clips done and clips in all.

    Raises:
        UserError: no such folder, or no video in it.
    """
    config = config or PrepareConfig()
    known = rules(dataset) if dataset else None if name else recognise(source, follow_links)
    found = known or propose(source, name, follow_links)
    listing = list_folder(found, source, picks, follow_links)
    requests = requests_for(found, source, listing.candidates, config)
    if sample is not None:
        requests = [requests[place] for place in _spread(len(requests), sample)]
    shown = set(_spread(len(requests), num_shown))
    asked = [replace(request, keep_frames=False, shots=place in shown) for place, request in enumerate(requests)]
    readings: list[Reading] = []
    refusals: list[Refusal] = []
    doubles = Doubles(found)
    outcomes = map(doubles.checked, read_all(asked, default_workers(len(asked))))
    for done, outcome in enumerate(outcomes, start=1):
        if isinstance(outcome, Reading):
            readings.append(outcome)
        else:
            refusals.append(outcome)
        if progress:
            progress(done, len(asked))
    listing = replace(listing, rejected=tuple(_looked_into(listing.rejected, found, source)))
    indexed = index_clips(found, [reading.source for reading in readings], config.split)
    if known is None:
        found = fitted(found, sum(clip.flagged for clip in indexed.clips), len(indexed.clips))
        indexed = index_clips(found, [reading.source for reading in readings], config.split)
    result = Inspection(
        found, source, listing, tuple(readings), tuple(refusals), indexed, config, problem="", proposed=known is None
    )
    return replace(result, problem=_problem(result, len(asked) + len(listing.rejected), max_bad_share))


def describe(found: Inspection) -> str:
    """Describe what was found, in some lines for the terminal."""
    rules_, read = found.rules, len(found.readings) + len(found.refusals)
    looked = "" if read == len(found.listing.candidates) else f"; looked into {read:,} of them"
    rates = Counter(reading.source.rate for reading in found.readings)
    spoken = ", ".join(f"{rate:g}" if rate else "not said" for rate, _ in rates.most_common(4))
    whose = f"taken for none of {', '.join(DATASETS)}" if found.proposed else rules_.name
    lines = [
        f"{found.source}: {whose}; {describe_forms(found.used) or 'no clip'}{looked}",
        *([f"  as proposed, {', '.join(layout.pattern for layout in rules_.layouts)}:"] if found.proposed else []),
        f"  clips per class, {found.config.split} split:" if rules_.ships else "  clips per class:",
        *(f"    {line}" for line in _table(found)),
        f"  {_subjects(found)}frames per second: {spoken or 'none'}",
        *(f"  {line}" for line in _sizes(found)),
        *(f"  {count} clips: {note}" for note, count in _notes(found).most_common()),
        f"  centring: {describe_centring(reading.how for reading in found.readings) or 'none'}",
    ]
    frames = sum(reading.source.num_frames for reading in found.readings)
    lines.append(f"  store: {frames:,} frames, {frames * rules_.side**2 * 3 / 1e6:,.0f} MB")
    flagged = sum(clip.flagged for clip in found.indexed.clips)
    if flagged:
        lines.append(f"  {flagged} clips are too short for their playback step and would be played at step 1")
    return "\n".join([*lines, *_reasons(found)])


def _reasons(found: Inspection) -> list[str]:
    lines = []
    for title, pairs in (("cannot be used", found.rejected), ("left out", found.left_out)):
        lines += [f"  {title}: {len(pairs)}", *(f"    {file}: {reason}" for file, reason in pairs)] if pairs else []
    return lines


def _subjects(found: Inspection) -> str:
    named = any("subject" in layout.fields for layout in found.rules.layouts)
    return f"people: {len(found.indexed.people)}; " if named else ""


def _sizes(found: Inspection) -> list[str]:
    """Describe the sizes and lengths of the uncut videos."""
    if not found.readings:
        return []
    sizes = Counter(reading.size for reading in found.readings)
    shown = ", ".join(f"{width} x {height} ({count:,})" for (width, height), count in sizes.most_common(4))
    more = f" and {len(sizes) - 4} more" if len(sizes) > 4 else ""
    lengths = sorted(reading.source.num_frames for reading in found.readings)
    middle = lengths[len(lengths) // 2]
    return [f"sizes: {shown}{more}", f"frames of a clip: {lengths[0]:,} to {lengths[-1]:,}, the middle one {middle:,}"]


def _notes(found: Inspection) -> Counter[str]:
    return Counter(reading.note for reading in found.readings if reading.note)


def _looked_into(rejected: Sequence[Rejection], found: DatasetRules, source: Path) -> Iterator[Rejection]:
    """Look into files of unknown names, and yield what is wrong with their contents, too."""
    files = [file for file, _ in rejected if (source / file).is_file() and not file.lower().endswith(".zip")]
    nobody = Identity("", found.classes[0] if found.classes else "", index=0)
    plain = PrepareConfig(centring="none")
    requests = [Request(found, source, Candidate(file, nobody), plain, keep_frames=False) for file in files]
    outcomes = read_all(requests, default_workers(len(requests)))
    wrong = {outcome.file: outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)}
    for file, reason in rejected:
        yield Rejection(file, f"{wrong[file]}; {reason}" if file in wrong else reason)


def _table(found: Inspection) -> list[str]:
    rows = [("class", "train clips", "frames", "test clips", "frames", "step")]
    for label, name in enumerate(found.indexed.classes):
        clips = [clip for clip in found.indexed.clips if clip.label == label]
        cells = []
        for split in ("train", "test"):
            lengths = [clip.num_frames for clip in clips if clip.split == split]
            cells += [f"{len(lengths):,}", f"{sum(lengths):,}"]
        steps = sorted({clip.frame_step for clip in clips})
        rows.append((name, cells[0], cells[1], cells[2], cells[3], ", ".join(map(str, steps))))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]


def _problem(found: Inspection, total: int, max_bad_share: float) -> str:
    try:
        check_share(found.source, found.rules, found.rejected, total, max_bad_share)
    except UserError as error:
        return str(error)
    return "" if found.indexed.classes else f"{found.source}: no clip to train on"


def _spread(count: int, wanted: int) -> Sequence[int]:
    """Return places spread evenly over a list."""
    if count <= wanted:
        return range(count)
    return [int(place) for place in np.unique(np.linspace(0, count - 1, wanted).round())] if wanted else []
