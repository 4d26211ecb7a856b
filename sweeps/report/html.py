"""`report.html`: the report as one page that opens from the disk, with pictures and playable films inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from tsvan.files import write_atomically

_MIME = {".png": "image/png", ".mp4": "video/mp4"}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --back: #fff; --text: #1c1e21; --soft: #8881; --link: #1f5fa8; }
@media (prefers-color-scheme: dark) { :root { --back: #16181b; --text: #e4e6e8; --link: #7ab2f0; } }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
nav { display: flex; flex-wrap: wrap; gap: .3rem 1rem; font-size: .9rem; } a { color: var(--link); }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { background: var(--soft); } code, pre { font-size: .85em; background: var(--soft); border-radius: .2rem; }
pre { padding: .8rem; overflow: auto; max-height: 24rem; }
figure { margin: 1.2rem 0; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
img, video { max-width: 100%; background: #fff; }
"""


def write_page(report: Path, out: Path) -> None:
    """Write the page.

    Args:
        report: Markdown; its pictures and films lie beside it and go into the page.
        out: HTML, which needs no other file and no network.
    """
    text = report.read_text(encoding="utf-8")
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    titles = _anchored(tokens)
    for place, token in enumerate(tokens):
        if token.type == "inline" and token.children:
            token.children = _with_films(token.children, report.parent)
            if [child.type for child in token.children] in (["image"], ["html_inline"]):
                tokens[place - 1].hidden = tokens[place + 1].hidden = True  # a figure is no part of a paragraph
    parser.add_render_rule("image", _picture(report.parent))
    for kind, mark in (("table_open", '<div class="wide"><table>'), ("table_close", "</table></div>")):
        parser.add_render_rule(kind, _fixed(mark))
    body = parser.renderer.render(tokens, parser.options, {})
    heading = next((token for token in tokens if token.type == "inline"), None)
    title = _words(heading.children) if heading is not None else "report"
    links = "".join(f'<a href="#{name}">{html.escape(words)}</a>' for name, words in titles)
    write_atomically(
        out,
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><nav>{links}</nav>{body}</body></html>\n",
    )


def _anchored(tokens: list[Token]) -> list[tuple[str, str]]:
    """Give the sections names to jump to; returns (name, title)."""
    found: list[tuple[str, str]] = []
    for place, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h2":
            name = f"section-{len(found) + 1}"
            token.attrSet("id", name)
            found.append((name, tokens[place + 1].content))
    return found


def _with_films(tokens: list[Token], folder: Path) -> list[Token]:
    """Links to films become films."""
    found: list[Token] = []
    link: Token | None = None
    words = ""
    for token in tokens:
        if token.type == "link_open" and str(token.attrGet("href")).endswith(".mp4"):
            link, words = token, ""
        elif link is None:
            found.append(token)
        elif token.type == "link_close":
            film = Token("html_inline", "", 0)
            source = _embedded(folder / str(link.attrGet("href")))
            film.content = (
                f"<figure><figcaption>{html.escape(words)}</figcaption>"
                f'<video src="{source}" controls loop muted playsinline autoplay></video></figure>'
            )
            found.append(film)
            link = None
        else:
            words += token.content
    return found


def _picture(folder: Path) -> Any:
    def rule(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
        token = tokens[place]
        words = html.escape(_words(token.children))
        source = _embedded(folder / str(token.attrGet("src")))
        return f'<figure><figcaption>{words}</figcaption><img src="{source}" alt="{words}"></figure>'

    return rule


def _words(tokens: Sequence[Token] | None) -> str:
    """As people read them."""
    return "".join(token.content for token in tokens or ())


def _fixed(mark: str) -> Any:
    def rule(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
        return mark

    return rule


def _embedded(file: Path) -> str:
    return f"data:{_MIME[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"
