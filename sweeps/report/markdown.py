"""`report.md`: the report's text, tables and pictures; its plots are in `report.html`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sweeps.report.sections import Part, Picture, Plot, Section
from sweeps.report.tables import escaped
from tsvan.files import write_atomically


def write_markdown(title: str, sections: Sequence[Section], out: Path) -> None:
    """Write a report as Markdown; pictures and films are linked where they lie, below the report's folder."""
    text = [f"# {escaped(title)}", ""]
    for section in sections:
        text += [*([f"## {section.title}", ""] if section.title else [])]
        text += [line for part in section.parts for line in (_part(part, out.parent), "")]
    write_atomically(out, "\n".join(text))


def _part(part: Part, folder: Path) -> str:
    if isinstance(part, Plot):
        return f"*{escaped(part.title)}: a plot in report.html*"
    if isinstance(part, Picture):
        mark = "" if part.file.suffix == ".mp4" else "!"  # Markdown has no films
        return f"{mark}[{escaped(part.title)}]({part.file.relative_to(folder)})"
    return part
