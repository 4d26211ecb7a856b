"""What a folder of videos is, as a hash: the name of the store that is made of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from tsvan.data.config import PrepareConfig
from tsvan.data.datasets import DatasetRules, rules
from tsvan.data.raw.limits import file_problem
from tsvan.data.raw.listing import list_folder
from tsvan.data.raw.masks import find_masks
from tsvan.data.raw.prepare import PREPARATION
from tsvan.data.store import VERSION
from tsvan.files import Progress, hash_file, hash_json
from tsvan.validation import UserError


def fingerprint(
    dataset: str | DatasetRules,
    source: Path | str,
    config: PrepareConfig | None = None,
    progress: Progress | None = None,
    preparation: tuple[int, ...] = (PREPARATION,),
) -> tuple[str, ...]:
    """Hash a source folder as a dataset reads it: names and contents of its clips, and how they are prepared.

    The contents are hashed in full: sizes and times would change with every copy and miss a repaired file, and one
    read of the files costs little beside decoding them.

    Args:
        dataset: whose naming applies; files that it leaves out do not count.
        source: the folder.
        config: split and centring.
        progress: called with files done and files in all.
        preparation: versions of the preparation to give the hash for; an older one finds stores made by it.

    Returns:
        One hash, hex, for each of `preparation`.

    Raises:
        UserError: no such folder, or no video in it.
    """
    found, source = rules(dataset), Path(source)
    listing = list_folder(found, source)
    names = {bad.file for bad in listing.rejected}
    for candidate in listing.candidates:
        names |= {f"{candidate.file}/{name}" for name in candidate.pictures} or {candidate.archive or candidate.file}
    if found.centring.masks:
        names |= {path.relative_to(source).as_posix() for path in find_masks(source, found.centring.masks)}
    files = sorted(names)
    entries = []
    with ThreadPoolExecutor(4) as threads:  # hashing lets go of Python's lock
        for done, digest in enumerate(threads.map(lambda file: _hash(source, file), files), start=1):
            entries.append([files[done - 1], digest])
            if progress:
                progress(done, len(files))
    made = {"version": VERSION, "dataset": found.name, "files": entries, "config": asdict(config or PrepareConfig())}
    own = {} if found.ships else {"rules": found.of_clips()}
    return tuple(hash_json({**made, **own, "preparation": version}) for version in preparation)


def _hash(folder: Path, file: str) -> str:
    """Hash the file's contents; if it can't be read, return what is wrong with it."""
    problem = file_problem(folder / file)
    if problem:
        return problem
    try:
        return hash_file(folder / file)
    except OSError as error:
        raise UserError(f"cannot read {folder / file}: {error.strerror}; check its permissions") from None
