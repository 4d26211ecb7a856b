"""A folder of raw videos -> a clip store."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import DatasetRules, rules
from tsvan.data.raw.boxes import Boxes
from tsvan.data.raw.doubles import Doubles
from tsvan.data.raw.listing import Candidate, Listing, describe_forms, list_folder
from tsvan.data.raw.masks import load_masks
from tsvan.data.raw.prepare_journal import NAME, Entry, Journal
from tsvan.data.raw.reader_pool import default_workers, read_all
from tsvan.data.raw.reading import Reading, Refusal, Request
from tsvan.data.store import ClipStore, Rejection
from tsvan.data.store_writer import StoreWriter, check_free
from tsvan.files import Progress
from tsvan.validation import UserError

PREPARATION = 3
"""Counts up when the same files and settings come to give other clips: 3, clips are read as players show them."""

_ENOUGH = 100
"""Bad files after which hours of reading are not finished just to count the others."""


def prepare(
    dataset: str | DatasetRules,
    source: Path | str,
    out: Path | str,
    *,
    config: PrepareConfig | None = None,
    picks: Path | None = None,
    follow_links: bool = False,
    max_bad_share: float = 0.1,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ClipStore:
    """Build a clip store from raw videos.

    What is refused before the first clip was read leaves nothing behind; after that, and after any death, what has
    been read lies in `<out>.partial`, and the same call goes on from there to the same store.

    Args:
        dataset: whose naming and rules apply; a name, a YAML's path, or the rules.
        source: folder of clips, searched with its subfolders and zips.
        out: the store's folder, made here.
        config: split and centring.
        picks: a file that lists the subjects and clips to use.
        follow_links: search folders that links lead to, too.
        max_bad_share: how large a share of the files may be unreadable, too short or unnamed, 0..1.
        workers: processes that read; None: one a core, 0: this one alone.
        progress: called with clips done and clips in all.

    Raises:
        UserError: no such folder, no video in it, too many bad files, no space, or `out` is taken.
    """
    found, source, out, config = rules(dataset), Path(source), Path(out), config or PrepareConfig()
    if not 0 <= max_bad_share <= 1:
        raise UserError(f"--max-bad-share must be from 0 to 1, got {max_bad_share:g}")
    listing = check_names(found, source, max_bad_share, picks, follow_links)
    check_free(out)
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"the store {out} would lie in its own source folder {source}; choose another folder for it")
    requests = requests_for(found, source, listing.candidates, config)
    settings = {"preparation": PREPARATION, "dataset": found.of_clips(), "config": asdict(config)}
    settings["masks"] = _masked(requests)
    with StoreWriter(found, out, "real", keep=True) as writer, Journal(writer.folder, settings) as journal:
        entries = _take_up(writer, journal, source, listing)
        doubles = Doubles(found)
        for entry in entries:
            if entry.source is not None:
                doubles.keep(entry.source)
        if progress and entries:
            progress(len(entries), len(requests))
        rejected = [*listing.rejected, *_refused(entries, bad=True)]
        # Closed at once when it is left early: the reading processes must not live as long as a traceback.
        with closing(_read_rest(writer, journal, doubles, requests[len(entries) :], workers)) as rest:
            for entry in rest:
                entries.append(entry)
                rejected += _refused([entry], bad=True)
                if len(rejected) > _ENOUGH:
                    check_share(source, found, rejected, listing.total, max_bad_share, writer.folder)
                if progress:
                    progress(len(entries), len(requests))
        check_share(source, found, rejected, listing.total, max_bad_share, writer.folder if writer.sources else None)
        left_out = [*listing.left_out, *_refused(entries, bad=False)]
        centring = describe_centring(entry.how for entry in entries if entry.source is not None)
        stored = [clip for clip, entry in zip(listing.candidates, entries, strict=True) if entry.source is not None]
        layout = describe_forms(stored)
        store = writer.finish(rejected, left_out, split=config.split, layout=layout, centring=centring)
    (out / NAME).unlink()
    return store


def requests_for(
    found: DatasetRules, source: Path, candidates: Sequence[Candidate], config: PrepareConfig
) -> list[Request]:
    """List what is to be read, with the masks that the folder has."""
    name = found.centring.masks
    masks = load_masks(source, name) if name and config.centring == "auto" else {}
    return [Request(found, source, candidate, config, _masks_of(masks, candidate)) for candidate in candidates]


def describe_centring(hows: Iterator[str]) -> str:
    """Tell how clips were centred, in words."""
    return ", ".join(f"{count:,} {how}" for how, count in Counter(hows).most_common())


def check_names(
    dataset_rules: DatasetRules,
    source: Path,
    max_bad_share: float = 0.1,
    picks: Path | None = None,
    follow_links: bool = False,
) -> Listing:
    """Return the folder's listing, if enough of its names are the dataset's.

    Raises:
        UserError: no such folder, no video in it, or too many names that are not understood.
    """
    listing = list_folder(dataset_rules, source, picks, follow_links)
    check_share(source, dataset_rules, listing.rejected, listing.total, max_bad_share)
    return listing


def check_share(
    source: Path,
    dataset_rules: DatasetRules,
    rejected: Sequence[Rejection],
    total: int,
    max_bad_share: float,
    kept: Path | None = None,
) -> None:
    """Raise UserError when more than the allowed share of files cannot be used, or all of them."""
    if len(rejected) <= max_bad_share * total and len(rejected) < total:
        return
    reasons = "; ".join(f"{file}: {reason}" for file, reason in rejected[:3])
    if len(rejected) < total:
        allow = f"allow more than {max_bad_share:.0%} with python -m tsvan data prepare --max-bad-share"
        advice = f"repair or remove them, or {allow}"
    else:
        advice = f"give a folder of whole videos named {dataset_rules.wanted}"
    raise UserError(
        f"{source}: {len(rejected)} of {total} files cannot be used as {dataset_rules.name} ({reasons}); {advice}"
        + (f"; what was read is kept in {kept}" if kept else "")
    )


def _take_up(writer: StoreWriter, journal: Journal, source: Path, listing: Listing) -> list[Entry]:
    """Take up what an earlier process has done of the same store."""
    entries: list[Entry] = []
    for entry in journal.done(source, listing.candidates):
        if entry.source is not None and not writer.restore(entry.source, entry.sha256):
            break
        entries.append(entry)
    journal.begin(source, listing.candidates, entries)
    return entries


def _read_rest(
    writer: StoreWriter, journal: Journal, doubles: Doubles, requests: Sequence[Request], workers: int | None
) -> Generator[Entry, None, None]:
    """Read clips, store them and note each when its frames have been handed to the system."""
    number = default_workers(len(requests)) if workers is None else workers
    with closing(read_all(requests, number)) as outcomes:
        for request, outcome in zip(requests, outcomes, strict=True):
            entry = _stored(writer, doubles.checked(outcome))
            writer.flush()
            try:
                journal.append(request.folder, request.candidate, entry)
            except OSError as error:
                raise UserError(
                    f"cannot write {writer.folder / NAME}: {error.strerror}; free space, then the same command goes on"
                ) from None
            yield entry


def _stored(writer: StoreWriter, outcome: Reading | Refusal) -> Entry:
    if isinstance(outcome, Refusal):
        return Entry(None, refusal=outcome)
    return Entry(outcome.source, outcome.how, writer.add(outcome.source, outcome.frames))


def _refused(entries: Sequence[Entry], *, bad: bool) -> list[Rejection]:
    refusals = [entry.refusal for entry in entries if entry.refusal is not None and entry.refusal.bad == bad]
    return [Rejection(refusal.file, refusal.reason) for refusal in refusals]


def _masked(requests: Sequence[Request]) -> str:
    return hashlib.sha256(b"".join(item.masks.tobytes() for item in requests if item.masks is not None)).hexdigest()


def _masks_of(masks: dict[str, Boxes], candidate: Candidate) -> Boxes | None:
    """Find a clip's masks by the file's name; a double's masks also by the action alone."""
    who = candidate.identity
    return masks.get(Path(candidate.file).stem.lower(), masks.get(f"{who.subject}_{who.class_name}".lower()))
