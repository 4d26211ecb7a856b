"""Pictures, clips and text inside a notebook; everything is embedded, so that a saved notebook shows it anywhere."""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from analysis.samples import Samples

_DPI = 160
_PIXELS_PER_INCH = 96
_WIDEST = 900


def show(figure: Figure) -> Any:
    """A figure, sharp on any screen."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    width = min(round(figure.get_size_inches()[0] * _PIXELS_PER_INCH), _WIDEST)
    return _ipython().Image(data=buffer.getvalue(), width=width)


def show_picture(file: Path) -> Any:
    """A picture file."""
    return _ipython().Image(data=file.read_bytes())


def show_video(file: Path) -> Any:
    """A video that plays by itself, in a loop."""
    attributes = "controls loop autoplay muted"
    return _ipython().Video(data=file.read_bytes(), embed=True, mimetype="video/mp4", html_attributes=attributes)


def show_samples(samples: Samples) -> None:
    """Display the clips and the contact sheet of a run, as far as they are there."""
    for found in (
        show_video(samples.video) if samples.video is not None else None,
        show_picture(samples.sheet) if samples.sheet is not None else None,
    ):
        if found is not None:
            _ipython().display(found)


def say(text: str) -> Any:
    """A line of text, as Markdown."""
    return _ipython().Markdown(text)


def _ipython() -> Any:
    """Only notebooks need it, and it is untyped."""
    return import_module("IPython.display")
