"""Pictures, clips and text inside a notebook; everything is embedded, so that a saved notebook shows it anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from analysis.samples import Samples

# A table is shown whole: pandas cuts long cells and more than 60 rows, and with them seeds and trials.
pd.set_option("display.max_colwidth", None)
pd.set_option("display.max_rows", None)

_DPI = 160
_PIXELS_PER_INCH = 96
_WIDEST = 900
_COLUMN = "max-width: 430px"


def show(figure: Figure) -> Any:
    """A figure, sharp on any live_table."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    width = min(round(figure.get_size_inches()[0] * _PIXELS_PER_INCH), _WIDEST)
    return _ipython().Image(data=buffer.getvalue(), width=width)


def show_side_by_side(chosen: Mapping[str, Samples]) -> Any:
    """The clips and contact sheets of several runs, each in a column under its title."""
    columns = "".join(
        f'<td style="vertical-align: top; text-align: left"><b>{escape(title)}</b>'
        f"<br>after {samples.iteration:,} iterations<br>{_embedded(samples)}</td>"
        for title, samples in chosen.items()
    )
    return _ipython().HTML(f"<table><tr>{columns}</tr></table>")


def say(text: str) -> Any:
    """A line of text, as Markdown."""
    return _ipython().Markdown(text)


def _embedded(samples: Samples) -> str:
    """Everything of a run in its column, as HTML."""
    parts = []
    if samples.video is not None:
        source = f"data:video/mp4;base64,{_base64(samples.video)}"
        parts.append(f'<video src="{source}" controls loop autoplay muted style="{_COLUMN}"></video>')
    if samples.sheet is not None:
        parts.append(f'<img src="data:image/png;base64,{_base64(samples.sheet)}" style="{_COLUMN}">')
    return "<br>".join(parts) or "no clips"


def _base64(file: Path) -> str:
    return b64encode(file.read_bytes()).decode()


def _ipython() -> Any:
    """Only notebooks need it, and it is untyped."""
    return import_module("IPython.display")
