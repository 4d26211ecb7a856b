"""`report.html`: a report as one page that opens from the disk, with pictures, playable films and plots inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from sweeps.report.sections import TRIALS, Part, Picture, Plot, Section
from tsvan.files import write_atomically

_MIME = {".png": "image/png", ".mp4": "video/mp4"}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --back: #fff; --text: #1c1e21; --soft: #8881; --link: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --text: #e4e6e8; --link: #7ab2f0; } }
body { margin: 0 auto; max-width: 72rem; padding: 1rem 1.5rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; } h1 { font-size: 1.5rem; margin: .5rem 0; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .9rem; } a { color: var(--link); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { background: var(--soft); } tr.chosen td { background: #d9730d44; }
code, pre { font-size: .85em; background: var(--soft); border-radius: .2rem; }
pre { padding: .8rem; overflow: auto; max-height: 24rem; }
figure { margin: 1rem 0; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
img, video { max-width: 100%; background: #fff; } .plot { background: #fff; }
"""
_LINK = """
const plots = [...document.querySelectorAll('.plotly-graph-div')];
const rows = [...document.querySelectorAll('#trials td:first-child')];
function points(plot, number) {
  return plot.data.flatMap((trace, curve) => (trace.customdata || []).map((found, point) => [found, curve, point]))
    .filter(([found]) => found === number).map(([, curve, point]) => ({curveNumber: curve, pointNumber: point}));
}
function show(number, source) {
  for (const row of rows) row.parentElement.classList.toggle('chosen', row.textContent.trim() === String(number));
  for (const plot of plots) {
    if (plot === source) continue;
    const found = number === null ? [] : points(plot, number);
    if (found.length) Plotly.Fx.hover(plot, found.slice(-8), Object.keys(plot._fullLayout._plots));
    else Plotly.Fx.unhover(plot);
  }
}
let linking = false;
for (const plot of plots) {
  const linked = number => { if (!linking) { linking = true; show(number, plot); linking = false; } };
  plot.on('plotly_hover', event => { if (event.event) linked(event.points[0].customdata ?? null); });
  plot.on('plotly_unhover', event => { if (event.event) linked(null); });
}
for (const row of rows) {
  row.parentElement.addEventListener('mouseenter', () => show(Number(row.textContent), null));
  row.parentElement.addEventListener('mouseleave', () => show(null, null));
}
"""
"""A trial that is hovered in one plot, or in the table, is shown in all of them."""


def write_page(title: str, sections: Sequence[Section], out: Path, renew_s: int | None = None) -> None:
    """Write a page that needs no other file and no network.

    Args:
        title: of the page, plain text.
        sections: in order; the first one stands above the list of the others.
        out: HTML.
        renew_s: seconds after which a browser loads the page again; None: it is finished.
    """
    names = ["trials" if one.title == TRIALS else f"section-{number}" for number, one in enumerate(sections)]
    links = [f'<a href="#{name}">{html.escape(one.title)}</a>' for name, one in zip(names, sections, strict=True)]
    bodies = []
    for name, one in zip(names, sections, strict=True):
        head = f"<h2>{html.escape(one.title)}</h2>" if one.title else ""
        bodies.append(f'<section id="{name}">{head}{"".join(map(_part, one.parts))}</section>')
    renew = f'<meta http-equiv="refresh" content="{renew_s}">' if renew_s is not None else ""
    plotted = any(isinstance(part, Plot) for one in sections for part in one.parts)
    write_atomically(
        out,
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{renew}'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style>{f'<script>{get_plotlyjs()}</script>' if plotted else ''}</head><body>"
        f"<h1>{html.escape(title)}</h1>{bodies[0]}<nav>{''.join(links[1:])}</nav>{''.join(bodies[1:])}"
        f"{f'<script>{_LINK}</script>' if plotted else ''}</body></html>\n",
    )


def _part(part: Part) -> str:
    if isinstance(part, Plot):
        div = to_html(
            part.figure,
            include_plotlyjs=False,
            full_html=False,
            config={"displaylogo": False, "responsive": True, "plotlyServerURL": ""},
        )
        return _figure(part.title, f'<div class="plot">{div}</div>')
    if isinstance(part, Picture):
        source = embedded(part.file)
        if part.file.suffix == ".mp4":
            return _figure(part.title, f'<video src="{source}" controls loop muted playsinline autoplay></video>')
        return _figure(part.title, f'<img src="{source}" alt="{html.escape(part.title)}">')
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    for kind, mark in (("table_open", '<div class="wide"><table>'), ("table_close", "</table></div>")):
        parser.add_render_rule(kind, _fixed(mark))
    return str(parser.render(part))


def _figure(title: str, inside: str) -> str:
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{inside}</figure>"


def _fixed(mark: str) -> Any:
    def rule(*_: Any) -> str:
        return mark

    return rule


def embedded(file: Path) -> str:
    """Make a `data:` address of a picture or film."""
    return f"data:{_MIME[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"
