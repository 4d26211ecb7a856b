"""How much stand-in video is drawn of a dataset, and what it shows."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.validation import STRICT, UserError

Size = Literal["small", "large"]


@dataclass(frozen=True, config=STRICT)
class Amount:
    """How much is drawn: people, videos of each person and class, frames of each video (null: as its step needs)."""

    people: int = Field(ge=1)
    videos: int = Field(ge=1)
    num_frames: int | None = Field(default=None, ge=1)


@dataclass(frozen=True, config=STRICT)
class StandinConfig:
    """Stand-in videos of a dataset.

    Args:
        drawing: `actions`, `expressions` or `speech`; the first two draw the classes that they know by name.
        file: a video's name, with the fields person, person_index, person_id (from 1, 0, 10001), class_name, take,
            take_number (from 0, 1), index and num_frames.
        small: drawn in seconds.
        large: drawn in a minute or two.
    """

    drawing: Literal["actions", "expressions", "speech"]
    file: str
    small: Amount
    large: Amount

    def __post_init__(self) -> None:
        try:
            self.name_of(self.small, 0, 0, "walk", 0)
        except (AttributeError, IndexError, KeyError, ValueError):
            raise UserError(f"file must be a name with known fields in braces, got '{self.file}'") from None

    def name_of(self, amount: Amount, person: int, index: int, class_name: str, take: int) -> str:
        """Return the name of a person's video of a class."""
        values: dict[str, str | int] = {
            "person": person + 1,
            "person_index": person,
            "person_id": 10001 + person,
            "class_name": class_name,
            "take": take,
            "take_number": take + 1,
            "index": index,
            "num_frames": amount.num_frames or 0,
        }
        return self.file.format_map(values)
