"""A result as text, and as plain values for a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from analysis.user_study.answers import Question
from analysis.user_study.scoring import Preference, RaterHabit, Result
from analysis.user_study.study import StudyRecord

TITLES: dict[Question, str] = {
    "plain": "which video looks better",
    "told": "the same, with the class told",
}
MOST_RATERS = 10
"""Shown; the file has all."""

_HEAD = ("", "percent", "sd", "variance", "95% interval", "answers")


def lines(record: StudyRecord, result: Result) -> list[str]:
    """Lay out the result as lines for the terminal."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for question, found in result.questions.items():
        rows.append(_row(TITLES[question], found.overall))
        if record.tells_label:
            rows += [_row(f"  {label}", preference) for label, preference in found.by_label.items()]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEAD))]
    answers = sum(found.overall.answers for found in result.questions.values())
    covered = f"{result.showings_answered} of {len(record.showings)} pairs"
    return [
        f"preference for {record.a.name} ({record.a.source}) over {record.b.name} ({record.b.source})",
        "",
        *(_aligned(row, widths) for row in rows),
        "",
        f"{len(result.raters)} raters; {answers} answers, to {covered}",
        f"bootstrap over {result.unit}, {result.resamples} resamples; - where there are fewer than two",
        *_habits(result),
    ]


def values(record: StudyRecord, result: Result, seed: int) -> dict[str, Any]:
    """Return the result as plain values for a file."""
    return {
        "study": record.id,
        "a": asdict(record.a),
        "b": asdict(record.b),
        "questions": {
            question: {
                "overall": _plain(found.overall),
                "by_class": {label: _plain(preference) for label, preference in found.by_label.items()},
            }
            for question, found in result.questions.items()
        },
        "bootstrap": {"unit": result.unit, "resamples": result.resamples, "seed": seed},
        "showings": len(record.showings),
        "showings_answered": result.showings_answered,
        "left_percent": result.left_percent,
        "raters": [{**asdict(habit), "one_sided": habit.one_sided} for habit in result.raters],
    }


def _plain(preference: Preference) -> dict[str, Any]:
    return {**asdict(preference), "deviation": preference.deviation}


def _row(title: str, found: Preference) -> tuple[str, ...]:
    return (
        title,
        f"{found.percent:.1f}",
        _number(found.deviation),
        _number(found.variance),
        "-" if found.interval is None else f"{found.interval[0]:.1f} to {found.interval[1]:.1f}",
        str(found.answers),
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    first, *rest = (
        cell.rjust(width) if place else cell.ljust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([first, *rest]).rstrip()


def _habits(result: Result) -> list[str]:
    """Say what tells raters who did not look: everyone sees each side on the left about equally often."""
    title = f"left was chosen in {result.left_percent:.1f}% of the answers"
    shown = result.raters[:MOST_RATERS]
    more = len(result.raters) - len(shown)
    ending = [f"  and {more} more, less one-sided"] if more else []
    return [f"{title}; by rater:", *(f"  {_habit(habit)}" for habit in shown), *ending]


def _habit(habit: RaterHabit) -> str:
    side = "left" if habit.left_percent else "right"
    note = f"  always {side}: did this rater look?" if habit.one_sided else ""
    return f"{habit.rater}  {habit.left_percent:5.1f}% left of {habit.answers} answers{note}"
