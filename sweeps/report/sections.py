"""What a report is made of: titled sections of text, pictures, films and plots; `html` and `markdown` write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

TRIALS = "Trials"
"""Title of the section whose table is linked with the plots by the trials' numbers."""


@dataclass(frozen=True)
class Picture:
    """A file: PNG or MP4, and its title."""

    title: str
    file: Path


@dataclass(frozen=True)
class Plot:
    """A plot that can be hovered, and its title."""

    title: str
    figure: go.Figure


Part = str | Picture | Plot
"""A string is Markdown."""


@dataclass(frozen=True)
class Section:
    """A titled part of a report; the first one, without a title, is what a reader sees before anything is scrolled."""

    title: str
    parts: Sequence[Part]


def lines(text: Sequence[str]) -> str:
    """Join lines of Markdown."""
    return "\n".join(text)
