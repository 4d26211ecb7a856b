"""What a source folder holds: which files are clips of the dataset, and which are not, and why."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from tsvan.data.datasets import DatasetRules
from tsvan.data.naming import Layout
from tsvan.data.raw.endings import ARCHIVE, ARRAY, PICTURES, ending, is_clip
from tsvan.data.raw.filenames import Identity, IgnoredError, UnnamedError, natural, read_name
from tsvan.data.raw.limits import MAX_MEMBERS, file_problem, irregular_kind, open_regular
from tsvan.data.raw.printable import name_problem, printable
from tsvan.data.store import Rejection
from tsvan.validation import UserError

LINK = "a link to a folder, which data prepare follows with --follow-links"
"""Why it is left out."""


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
        """Tell how the clip lies on disk, in words."""
        if self.pictures:
            return "folders of pictures"
        if ending(self.file) == ARRAY:
            return "published .npy clips"
        pattern = self.layout.pattern.removeprefix("**/") if self.layout is not None else ""
        named = f" named {pattern}" if "#" in pattern else ""
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
        """Count the files that should have been clips."""
        return len(self.candidates) + len(self.rejected)


def describe_forms(candidates: Iterable[Candidate]) -> str:
    """Tell how clips lie on disk, in words."""
    forms = Counter(candidate.form for candidate in candidates)
    return ", ".join(f"{count:,} {form}" for form, count in forms.most_common())


def list_folder(
    dataset_rules: DatasetRules, source: Path, picks: Path | None = None, follow_links: bool = False
) -> Listing:
    """Find the clips and read their names; hidden files are passed over.

    Args:
        dataset_rules: whose names.
        source: the folder, searched with its subfolders and zips.
        picks: a file that lists subjects and clips, one a line; the others are left out.
        follow_links: search folders that links lead to, too.

    Raises:
        UserError: no such folder, nothing in it that could be a clip, or an unusable list.
    """
    check_folder(source, f"expected video files named {dataset_rules.wanted}")
    sorter = _Sorter(dataset_rules, source)
    for folder, names in _folders(source, follow_links, sorter.left_out):
        sorter.sort(folder, names)
    sorter.note_passed_over()
    candidates = sorted(sorter.candidates, key=lambda candidate: natural(candidate.file))
    if not candidates and not sorter.rejected:
        links = [file for file, reason in sorter.left_out if reason == LINK]
        hint = f"; {links[0]} is {LINK}" if links else ""
        raise UserError(f"no video in the data folder {source}; expected files named {dataset_rules.wanted}{hint}")
    if picks is not None:
        candidates = _picked(candidates, picks, sorter)
    return Listing(tuple(candidates), tuple(sorter.rejected), tuple(sorter.left_out))


def check_folder(source: Path, advice: str) -> None:
    """Raise UserError, with the advice, when there is no such folder."""
    if not source.is_dir():
        what = "is not a folder" if source.exists() else "does not exist"
        raise UserError(f"the data folder {source} {what}; {advice}")


@dataclass
class _Sorter:
    """Sorts what it is shown into candidates, rejected and left out."""

    rules: DatasetRules
    source: Path
    candidates: list[Candidate] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    left_out: list[Rejection] = field(default_factory=list)
    passed_over: dict[str, list[str]] = field(default_factory=dict)

    def sort(self, folder: str, names: Sequence[str]) -> None:
        """Sort the files of one folder, given by its path below the source."""
        pictures = []
        for name in names:
            file = f"{folder}/{name}".removeprefix("/")
            if not (is_clip(name) or ending(name) in (ARCHIVE, *PICTURES)):
                if name != self.rules.centring.masks:
                    self.passed_over.setdefault(ending(name), []).append(printable(file))
            elif what := irregular_kind(self.source / file):
                self.left_out.append(Rejection(printable(file), f"{what}, not a regular file"))
            elif problem := file_problem(self.source / file) or name_problem(file):
                self.rejected.append(Rejection(printable(file), problem))
            elif ending(name) == ARCHIVE:
                self._zip(file)
            elif ending(name) in PICTURES:
                pictures.append(name)
            else:
                self._name(file)
        if pictures:
            self._pictures(folder, pictures)

    def note_passed_over(self) -> None:
        """Say how many files there are of each ending that no clip has; one by one they would fill an index."""
        for suffix, files in sorted(self.passed_over.items()):
            many = f"{len(files):,} files " + (f"*{printable(suffix)}" if suffix else "without an ending")
            self.left_out.append(Rejection(many if len(files) > 1 else files[0], "not a video by its name"))

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

    def _zip(self, archive: str) -> None:
        try:
            with open_regular(self.source / archive) as content, zipfile.ZipFile(content) as opened:
                members = [info.filename for info in opened.infolist() if not info.is_dir()]
        except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
            self.rejected.append(Rejection(archive, f"not a zip archive, or cut off: {' '.join(str(error).split())}"))
            return
        if len(members) > MAX_MEMBERS:
            self.rejected.append(Rejection(archive, f"{len(members):,} files in it; at most {MAX_MEMBERS:,} are read"))
            return
        used = 0
        for member in members:
            hidden = any(part.startswith((".", "__")) for part in PurePosixPath(member).parts)
            if not hidden and is_clip(member):
                used += 1
                file = f"{archive}/{member}"
                if problem := name_problem(file):
                    self.rejected.append(Rejection(printable(file), problem))
                else:
                    self._name(file, archive)
        if not used:
            self.left_out.append(Rejection(archive, "no video in this zip; pictures are read from folders only"))


def _folders(source: Path, follow_links: bool, left_out: list[Rejection]) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders below the source and their files, each folder once; follow links to folders only on request."""
    visited: set[tuple[int, int]] = set()
    for folder, subfolders, names in os.walk(source, followlinks=follow_links):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in visited:
            subfolders.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        below = Path(folder).relative_to(source).as_posix().removeprefix(".")
        subfolders[:] = sorted((name for name in subfolders if not name.startswith(".")), key=natural)
        if not follow_links:
            links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
            left_out += [Rejection(printable(f"{below}/{name}".removeprefix("/")), LINK) for name in links]
        yield below, sorted((name for name in names if not name.startswith(".")), key=natural)


def _picked(candidates: list[Candidate], picks: Path, sorter: _Sorter) -> list[Candidate]:
    """Keep the clips on a list; a line that fits nothing counts as a clip that is missing."""
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
