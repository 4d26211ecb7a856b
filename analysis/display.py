"""Pictures, clips and text inside a notebook; everything is embedded, so that a saved notebook shows it anywhere."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from plotly.io import to_html

from analysis.samples import Samples

# A table is shown whole: pandas cuts long cells and more than 60 rows, and with them seeds and trials.
pd.set_option("display.max_colwidth", None)
pd.set_option("display.max_rows", None)

_COLUMN = "max-width: 430px"
_has_plotly = False


def show(figure: Figure) -> Any:
    """Show a plot that can be hovered; the first one of a notebook brings Plotly's code along."""
    global _has_plotly
    html = to_html(figure, include_plotlyjs=not _has_plotly, full_html=False, config={"displaylogo": False})
    _has_plotly = True
    return _ipython().HTML(html)


def show_side_by_side(chosen: Mapping[str, Samples]) -> Any:
    """Show the clips and contact sheets of several runs, each in a column under its title."""
    columns = "".join(
        f'<td style="vertical-align: top; text-align: left"><b>{escape(title)}</b>'
        f"<br>after {samples.iteration:,} iterations<br>{_embedded(samples)}</td>"
        for title, samples in chosen.items()
    )
    return _ipython().HTML(f"<table><tr>{columns}</tr></table>")


def say(text: str | Sequence[str]) -> Any:
    """Show Markdown: a text, or its lines."""
    return _ipython().Markdown(text if isinstance(text, str) else "\n".join(text))


def _embedded(samples: Samples) -> str:
    """Put everything of a run into its column, as HTML."""
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
    """Import IPython's display, which only notebooks need, and which is untyped."""
    return import_module("IPython.display")
