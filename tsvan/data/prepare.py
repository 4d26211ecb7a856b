"""A folder of raw videos -> a clip store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path
from typing import TypeVar

from tsvan.data.datasets import MIN_FRAMES, DatasetRules, rules
from tsvan.data.decode import Decoded, UnreadableError, decode
from tsvan.data.names import Identity, IgnoredError, UnnamedError, identify, natural
from tsvan.data.splits import Source, cut
from tsvan.data.store import VERSION, ClipStore, Rejection
from tsvan.data.writing import StoreWriter, check_free
from tsvan.files import Progress, hash_file, hash_json
from tsvan.strict import UserError

_NOT_VIDEO = {
    *(".bmp", ".gz", ".jpeg", ".jpg", ".mat", ".pdf", ".png", ".ppm", ".tar", ".wav", ".xls", ".xlsx", ".zip"),
    *(".csv", ".doc", ".docx", ".htm", ".html", ".json", ".log", ".md", ".py", ".sh", ".toml", ".tsv", ".txt"),
    *(".xml", ".yaml", ".yml"),
}

_ENOUGH = 100
"""Bad files after which hours of decoding are not finished just to count the others."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Candidate:
    """A file whose name is one of the dataset's."""

    file: str
    identity: Identity


@dataclass(frozen=True)
class Listing:
    """What a source folder holds.

    Args:
        candidates: files to decode, sorted by name.
        rejected: files whose names are not understood.
        left_out: files that are no videos or that the dataset's rules do not use.
    """

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    left_out: tuple[Rejection, ...]


def prepare(
    dataset: str,
    source: Path | str,
    out: Path | str,
    *,
    max_bad_share: float = 0.1,
    progress: Progress | None = None,
) -> ClipStore:
    """Build a clip store from raw videos; on failure nothing is left behind.

    Args:
        dataset: whose naming and rules apply.
        source: folder of video files and `.npy` clips, searched with its subfolders.
        out: the store's folder, made here.
        max_bad_share: how large a share of the files may be unreadable, too short or unnamed, 0..1.
        progress: called with files done and files in all.

    Raises:
        UserError: no such folder, no video in it, too many bad files, or `out` is taken.
    """
    found_rules = rules(dataset)
    source, out = Path(source), Path(out)
    if not 0 <= max_bad_share <= 1:
        raise UserError(f"--max-bad-share must be from 0 to 1, got {max_bad_share:g}")
    listing = check_names(found_rules, source, max_bad_share)
    check_free(out)
    if out.resolve().is_relative_to(source.resolve()):
        raise UserError(f"the store {out} would lie in its own source folder {source}; choose another folder for it")
    total = len(listing.candidates) + len(listing.rejected)
    rejected = list(listing.rejected)
    with StoreWriter(found_rules, out, "real") as writer:
        results = _side_by_side(lambda candidate: _read(found_rules, source, candidate), listing.candidates)
        for done, result in enumerate(results, start=1):
            if isinstance(result, Rejection):
                rejected.append(result)
                if len(rejected) > _ENOUGH:
                    _check_share(source, found_rules, rejected, total, max_bad_share)
            else:
                file, decoded = result
                writer.add(file, decoded.frames)
            if progress:
                progress(done, len(listing.candidates))
        _check_share(source, found_rules, rejected, total, max_bad_share)
        return writer.finish(rejected, listing.left_out)


def fingerprint(dataset: str, source: Path | str, *, progress: Progress | None = None) -> str:
    """Hash over a source folder as a dataset reads it, hex: names and contents of its videos, and the store's version.

    The contents are hashed in full: sizes and times would change with every copy and miss a repaired file, and one
    read of the files costs little beside decoding them.

    Args:
        dataset: whose naming applies; files that it leaves out do not count.
        source: the folder.
        progress: called with files done and files in all.

    Raises:
        UserError: no such folder, or no video in it.
    """
    listing = list_folder(rules(dataset), Path(source))
    files = sorted([candidate.file for candidate in listing.candidates] + [bad.file for bad in listing.rejected])
    entries = []
    for done, digest in enumerate(_side_by_side(lambda file: _hash(Path(source), file), files), start=1):
        entries.append([files[done - 1], digest])
        if progress:
            progress(done, len(files))
    return hash_json({"version": VERSION, "dataset": dataset, "files": entries})


def check_names(dataset_rules: DatasetRules, source: Path, max_bad_share: float = 0.1) -> Listing:
    """The folder's listing, if enough of its names are the dataset's.

    Raises:
        UserError: no such folder, no video in it, or too many names that are not understood.
    """
    listing = list_folder(dataset_rules, source)
    total = len(listing.candidates) + len(listing.rejected)
    _check_share(source, dataset_rules, listing.rejected, total, max_bad_share)
    return listing


def list_folder(dataset_rules: DatasetRules, source: Path) -> Listing:
    """Find the files and read their names; hidden ones are passed over.

    Raises:
        UserError: no such folder, or nothing in it that could be a video.
    """
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"the data folder {source} {what}; expected video files named {dataset_rules.layout}")
    candidates: list[Candidate] = []
    rejected: list[Rejection] = []
    left_out: list[Rejection] = []
    for file in sorted(_files(source), key=natural):
        suffix = Path(file).suffix.lower()
        if not suffix or suffix in _NOT_VIDEO:
            left_out.append(Rejection(file, "not a video by its name"))
            continue
        try:
            candidates.append(Candidate(file, identify(dataset_rules, file)))
        except IgnoredError as error:
            left_out.append(Rejection(file, str(error)))
        except UnnamedError as error:
            rejected.append(Rejection(file, str(error)))
    if not candidates and not rejected:
        raise UserError(f"no video in the data folder {source}; expected files named {dataset_rules.layout}")
    if dataset_rules.name == "weizmann":
        candidates = _without_doubles(candidates, left_out)
    return Listing(tuple(candidates), tuple(rejected), tuple(left_out))


def _files(source: Path) -> Iterator[str]:
    for path in source.rglob("*"):
        below = path.relative_to(source)
        if path.is_file() and not any(part.startswith(".") for part in below.parts):
            yield below.as_posix()


def _without_doubles(candidates: Sequence[Candidate], left_out: list[Rejection]) -> list[Candidate]:
    """Weizmann has a second take of a few actions (lena_run2): the first take of each person and action is used."""
    first: dict[tuple[str, str], Candidate] = {}
    for candidate in sorted(candidates, key=lambda item: natural(item.identity.recording)):
        key = (candidate.identity.person, candidate.identity.action)
        if first.setdefault(key, candidate) is not candidate:
            left_out.append(Rejection(candidate.file, f"a second take beside {first[key].file}"))
    return [candidate for candidate in candidates if candidate in first.values()]


def _read(dataset_rules: DatasetRules, folder: Path, candidate: Candidate) -> tuple[Source, Decoded] | Rejection:
    path = folder / candidate.file
    try:
        decoded = decode(path, dataset_rules.side, dataset_rules.npy_layout)
        digest = hash_file(path)
    except UnreadableError as error:
        return Rejection(candidate.file, str(error))
    except OSError as error:
        return Rejection(candidate.file, f"cannot be read: {error.strerror}")
    found = Source(candidate.file, candidate.identity, len(decoded.frames), decoded.rate, digest)
    longest = max(part.num_frames for part in cut(dataset_rules, [found]))
    if longest < MIN_FRAMES:
        return Rejection(
            candidate.file,
            f"too short: {found.num_frames} frames, the longest part has {longest}, a window needs {MIN_FRAMES}",
        )
    return found, decoded


def _check_share(
    source: Path, dataset_rules: DatasetRules, rejected: Sequence[Rejection], total: int, max_bad_share: float
) -> None:
    if len(rejected) <= max_bad_share * total and len(rejected) < total:
        return
    reasons = "; ".join(f"{file}: {reason}" for file, reason in rejected[:3])
    if len(rejected) < total:
        allow = f"allow more than {max_bad_share:.0%} with python -m tsvan data prepare --max-bad-share"
        advice = f"repair or remove them, or {allow}"
    else:
        advice = f"give a folder of whole videos named {dataset_rules.layout}"
    raise UserError(
        f"{source}: {len(rejected)} of {total} files cannot be used as {dataset_rules.name} ({reasons}); {advice}"
    )


def _side_by_side(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """Results in order. Threads suffice, since decoding and hashing let go of Python's lock; few results wait."""
    workers = min(8, cpu_count() or 1)
    waiting: deque[Future[B]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _hash(folder: Path, file: str) -> str:
    try:
        return hash_file(folder / file)
    except OSError as error:
        raise UserError(f"cannot read {folder / file}: {error.strerror}; check its permissions") from None
