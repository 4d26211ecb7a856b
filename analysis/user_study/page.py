"""The page that raters see: one HTML file that holds the list of showings, but not whose clips they are."""

from __future__ import annotations

import json
from pathlib import Path

from analysis.user_study.study import StudyRecord

PARTS = Path(__file__).parent

WORDS = {
    "jack": "jumping jack",
    "jump": "jump forward on both legs",
    "pjump": "jump in place",
    "side": "gallop sideways",
    "wave1": "wave one hand",
    "wave2": "wave both hands",
}
"""Weizmann's short names in words, as the dataset describes them (Gorelick et al.); others are shown as they are."""


def render(record: StudyRecord) -> str:
    """Return the page's HTML, with style and script in it: it needs no other file but its clips."""
    # "<" would end the script that holds the list; in JSON it can be written as an escape.
    study = json.dumps(_for_raters(record), separators=(",", ":")).replace("<", "\\u003c")
    page = (PARTS / "page.html").read_text(encoding="utf-8")
    for part in ("page.css", "page.js"):
        page = page.replace(f"{{{{{part}}}}}", (PARTS / part).read_text(encoding="utf-8"))
    return page.replace("{{study}}", study)


def _for_raters(record: StudyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "perRater": record.per_rater,
        "tellsLabel": record.tells_label,
        "showings": [[showing.id, showing.left, showing.right, _words(showing.label)] for showing in record.showings],
    }


def _words(label: str) -> str:
    return WORDS.get(label, label.replace("_", " "))
