"""What a source folder holds: which files are clips of the dataset, which are not, and of which dataset it is."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tsvan.data.datasets import DATASETS, DatasetRules, rules
from tsvan.data.naming import Layout
from tsvan.data.raw.filenames import Identity, IgnoredError, UnnamedError, natural, read_name
from tsvan.data.store import INDEX, Rejection
from tsvan.validation import UserError

_PICTURES = {".bmp", ".jpeg", ".jpg", ".png", ".ppm"}
_NOT_VIDEO = {
    *(".gz", ".mat", ".pdf", ".tar", ".wav", ".m4a", ".xls", ".xlsx"),
    *(".csv", ".doc", ".docx", ".htm", ".html", ".json", ".log", ".md", ".py", ".sh", ".toml", ".tsv", ".txt"),
    *(".xml", ".yaml", ".yml"),
}


class UnknownLayoutError(UserError):
    """A folder whose names are of no dataset; `files`: there are videos in it."""

    def __init__(self, message: str, files: bool) -> None:
        super().__init__(message)
        self.files = files


@dataclass(frozen=True)
class Candidate:
    """A clip by its name.

    Args:
        file: path below the source folder: a file, a zip's member behind the zip's path, or a folder of pictures.
        identity: what the name says.
        layout: of the dataset's, that the name has; None: of a file of unknown name.
        archive: the zip it lies in, below the source folder; None: in none.
        pictures: names in a folder of pictures, in order.
    """

    file: str
    identity: Identity
    layout: Layout | None = None
    archive: str | None = None
    pictures: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        """How it lies on disk, in words."""
        if self.pictures:
            return "folders of pictures"
        if self.file.lower().endswith(".npy"):
            return "published .npy clips"
        named = " named <speaker>#<video>#<first>#<last>" if "#" in self.file else ""
        return f"videos{named}{' in zips' if self.archive else ''}"


@dataclass(frozen=True)
class Listing:
    """What a source folder holds.

    Args:
        candidates: clips to read, sorted by name.
        rejected: files whose names are not understood.
        left_out: files that are no videos or that the dataset's rules do not use.
    """

    candidates: tuple[Candidate, ...]
    rejected: tuple[Rejection, ...]
    left_out: tuple[Rejection, ...]

    @property
    def total(self) -> int:
        """Files that should have been clips."""
        return len(self.candidates) + len(self.rejected)

    @property
    def layout(self) -> str:
        """The forms of the clips, in words."""
        forms = Counter(candidate.form for candidate in self.candidates)
        return ", ".join(f"{count:,} {form}" for form, count in forms.most_common())


def list_folder(dataset_rules: DatasetRules, source: Path, picks: Path | None = None) -> Listing:
    """Find the clips and read their names; hidden files are passed over.

    Args:
        dataset_rules: whose names.
        source: the folder, searched with its subfolders and zips.
        picks: a file that lists speakers and clips, one a line; the others are left out.

    Raises:
        UserError: no such folder, nothing in it that could be a clip, or an unusable list.
    """
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"the data folder {source} {what}; expected video files named {dataset_rules.wanted}")
    sorter = _Sorter(dataset_rules)
    for folder, names in _folders(source):
        sorter.folder(source, folder, names)
    candidates = sorted(sorter.candidates, key=lambda candidate: natural(candidate.file))
    if not candidates and not sorter.rejected:
        raise UserError(f"no video in the data folder {source}; expected files named {dataset_rules.wanted}")
    if picks is not None:
        candidates = _picked(candidates, picks, sorter)
    if dataset_rules.takes == "first":
        candidates = _without_doubles(candidates, sorter.left_out)
    return Listing(tuple(candidates), tuple(sorter.rejected), tuple(sorter.left_out))


def recognise(source: Path) -> DatasetRules:
    """The dataset whose names a folder's files have.

    Raises:
        UserError: no such folder, a clip store, or names of no dataset.
    """
    if (source / INDEX).exists():
        raise UserError(f"{source} is a clip store; look at it with python -m tsvan data show --store {source}")
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"the data folder {source} {what}; give the folder that holds the videos")
    shares: dict[str, float] = {}
    for name in DATASETS:
        try:
            listing = list_folder(rules(name), source)
        except UserError:
            continue  # nothing in it that could be a clip of this dataset
        # Any folder of videos in subfolders could be speakers with their videos: such names say nothing.
        sure = sum(found.layout is not None and found.layout.distinctive for found in listing.candidates)
        shares[name] = sure / listing.total
    best = max(shares, key=lambda name: shares[name], default="")
    if not best or shares[best] < 0.25:
        layouts = "; ".join(f"{name}: {rules(name).wanted}" for name in DATASETS)
        what = "is of none of the four datasets by its names" if shares else "holds no video"
        raise UnknownLayoutError(f"{source} {what}; the datasets have: {layouts}", bool(shares))
    return rules(best)


@dataclass
class _Sorter:
    """Sorts what it is shown into candidates, rejected and left out."""

    rules: DatasetRules
    candidates: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    left_out: list[Rejection] = field(default_factory=list)

    def folder(self, source: Path, folder: str, names: Sequence[str]) -> None:
        """Sort the files of one folder, given by its path below the source."""
        pictures = [name for name in names if PurePosixPath(name).suffix.lower() in _PICTURES]
        if pictures:
            self._pictures(folder, pictures)
        for name in names:
            file, suffix = f"{folder}/{name}".removeprefix("/"), PurePosixPath(name).suffix.lower()
            if suffix == ".zip":
                self._zip(source, file)
            elif not suffix or suffix in _NOT_VIDEO:
                if name != self.rules.centring.masks:
                    self.left_out.append(Rejection(file, "not a video by its name"))
            elif suffix not in _PICTURES:
                self._name(file)

    def _name(self, file: str, archive: str | None = None) -> None:
        try:
            self.candidates.append(Candidate(file, *read_name(self.rules, file), archive))
        except IgnoredError as error:
            self.left_out.append(Rejection(file, str(error)))
        except UnnamedError as error:
            self.rejected.append(Rejection(file, str(error)))

    def _pictures(self, folder: str, names: list[str]) -> None:
        sorted_names = tuple(sorted(names, key=natural))
        try:
            identity, layout = read_name(self.rules, folder, "pictures")
        except IgnoredError as error:
            self.left_out.append(Rejection(folder, str(error)))
        except UnnamedError:
            reason = f"{len(names)} pictures that are no clip of {self.rules.name}"
            self.left_out.append(Rejection(folder or ".", reason))
        else:
            self.candidates.append(Candidate(folder, identity, layout, pictures=sorted_names))

    def _zip(self, source: Path, archive: str) -> None:
        try:
            with zipfile.ZipFile(source / archive) as opened:
                members = [info.filename for info in opened.infolist() if not info.is_dir()]
        except (OSError, zipfile.BadZipFile) as error:
            self.rejected.append(Rejection(archive, f"not a zip archive, or cut off: {error}"))
            return
        used = 0
        for member in members:
            path = PurePosixPath(member)
            hidden = any(part.startswith((".", "__")) for part in path.parts)
            if not hidden and path.suffix and path.suffix.lower() not in {*_NOT_VIDEO, *_PICTURES, ".zip"}:
                self._name(f"{archive}/{member}", archive)
                used += 1
        if not used:
            self.left_out.append(Rejection(archive, "no video in this zip; pictures are read from folders only"))


def _folders(source: Path) -> Iterator[tuple[str, list[str]]]:
    """Folders below the source and their files; links are followed, each folder is visited once."""
    visited: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(source, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            subfolders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted((name for name in subfolders if not name.startswith(".")), key=natural)
        below = Path(folder).relative_to(source).as_posix().removeprefix(".")
        yield below, sorted((name for name in names if not name.startswith(".")), key=natural)


def _picked(candidates: list[Candidate], picks: Path, sorter: _Sorter) -> list[Candidate]:
    """The clips on a list; a line that fits nothing counts as a clip that is missing."""
    try:
        text = picks.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UserError(f"cannot read the list {picks}: {reason}; give a text file of speakers and clips") from None
    lines = [line.strip().removeprefix("./").rstrip("/") for line in text.splitlines()]
    wanted = {line for line in lines if line and not line.startswith("#")}
    if not wanted:
        raise UserError(f"the list {picks} is empty; put a speaker, a folder or a clip on each line")
    hit: set[str] = set()
    kept = []
    for candidate in candidates:
        path = PurePosixPath(candidate.file)
        keys = {candidate.identity.subject, path.name, path.stem, str(path), str(path.with_suffix(""))}
        found = wanted & (keys | {str(parent) for parent in path.parents})
        hit |= found
        if found:
            kept.append(candidate)
    if len(kept) < len(candidates):
        # Not one by one: a list that picks 15 of 150 thousand would fill the store's index.
        sorter.left_out.append(Rejection(f"{len(candidates) - len(kept):,} clips", f"not on the list {picks.name}"))
    missing = f"on the list {picks.name}, not in the folder"
    sorter.rejected[:] = [Rejection(line, missing) for line in sorted(wanted - hit)]
    return kept


def _without_doubles(candidates: Sequence[Candidate], left_out: list[Rejection]) -> list[Candidate]:
    """Weizmann has a second take of a few actions (lena_run2): the first take of each person and action is used."""
    first: dict[tuple[str, str], Candidate] = {}
    for candidate in sorted(candidates, key=lambda item: natural(item.identity.take)):
        key = (candidate.identity.subject, candidate.identity.class_name)
        if first.setdefault(key, candidate) is not candidate:
            left_out.append(Rejection(candidate.file, f"a second take beside {first[key].file}"))
    kept = set(map(id, first.values()))
    return [candidate for candidate in candidates if id(candidate) in kept]
