"""A user study on disk: the folder, and the truth about its showings."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass as validated

from analysis.user_study.pairs import Showing
from tsvan.files import hash_json
from tsvan.validation import STRICT, UserError, build

FORMAT = 1


@dataclass(frozen=True)
class StudyFolder:
    """All paths of a study. Only `page` is meant for raters; the truth lies beside it."""

    path: Path

    @property
    def truth(self) -> Path:
        """Return the path of the file that says which side is which."""
        return self.path / "pairs.json"

    @property
    def answers(self) -> Path:
        """Return the path of what the server collected, one JSON line an answer."""
        return self.path / "answers.jsonl"

    @property
    def page(self) -> Path:
        """Return the folder that can be handed out."""
        return self.path / "page"

    @property
    def index(self) -> Path:
        """Return the path of the page itself."""
        return self.page / "index.html"

    def clip(self, name: str) -> Path:
        """Return the path of a clip by its blind name."""
        return self.page / "clips" / f"{name}.mp4"


@validated(frozen=True, config=STRICT)
class Compared:
    """One side: its name in tables, and where its clips came from."""

    name: str
    source: str


@validated(frozen=True, config=STRICT)
class StudyRecord:
    """What `pairs.json` says.

    Args:
        id: hash of the showings; answers name the study that they belong to.
        a: side a, whose preference is counted.
        b: side b.
        seed: of every draw.
        labels: the classes; with more than one, a second question tells the class.
        per_rater: showings that one rater is asked.
        showings: in the order of the page.
    """

    id: str
    a: Compared
    b: Compared
    seed: int
    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    per_rater: Annotated[int, Field(ge=1)]
    showings: Annotated[tuple[Showing, ...], Field(min_length=1)]
    format: int = FORMAT

    @property
    def tells_label(self) -> bool:
        """Tell whether the choice is made again with the class told (action-conditioned generation)."""
        return len(self.labels) > 1

    @cached_property
    def by_id(self) -> dict[str, Showing]:
        """Return the showings by their ids."""
        return {showing.id: showing for showing in self.showings}

    @property
    def clips(self) -> frozenset[str]:
        """Return the names of all clips."""
        return frozenset(name for showing in self.showings for name in (showing.left, showing.right))

    def to_json(self) -> str:
        """Write the record as JSON, one showing a line, so that people can read it."""
        values = asdict(self)
        showings = ",\n  ".join(json.dumps(showing) for showing in values.pop("showings"))
        return f'{json.dumps(values, indent=1)[:-2]},\n "showings": [\n  {showings}\n ]\n}}\n'


def study_id(showings: tuple[Showing, ...]) -> str:
    """Return a short hash of what is shown."""
    return hash_json([asdict(showing) for showing in showings])[:12]


def read_study(folder: StudyFolder) -> StudyRecord:
    """Read the record of a study, the truth.

    Raises:
        UserError: there is no study, or its record is damaged.
    """
    try:
        values: Any = json.loads(folder.truth.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(
            f"no user study in {folder.path}: {folder.truth.name}: {error.strerror}; make one with "
            f"'python -m analysis.user_study make'"
        ) from None
    except ValueError as error:
        raise UserError(f"{folder.truth} is not valid JSON ({error}); make the study again") from None
    record = build(StudyRecord, values, str(folder.truth))
    if record.format != FORMAT:
        raise UserError(f"{folder.truth} has format {record.format}, not {FORMAT}; use the version that wrote it")
    return record
