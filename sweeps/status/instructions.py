"""What users asked of a study while it runs, and how far it was followed. Looks only."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sweeps.state.inbox import Inbox, Instruction, additions, is_paused
from sweeps.state.paths import StudyPaths


@dataclass(frozen=True)
class Asked:
    """An instruction of a user's.

    Args:
        number: its place among all of the study's.
        text: as it was typed.
        at: when, in seconds since 1970.
        done: what became of it; empty: it was not followed yet.
    """

    number: int
    text: str
    at: float
    done: str


@dataclass(frozen=True)
class Instructions:
    """All that was asked of a study.

    Args:
        asked: in order.
        paused: the study is to rest until `resume`.
        added: how many trials were added.
        begun: how many of those have begun.
    """

    asked: list[Asked]
    paused: bool
    added: int
    begun: int


def instructions(paths: StudyPaths) -> Instructions:
    """Read what was asked of a study."""
    inbox = Inbox(paths)
    found = inbox.instructions()
    asked = [Asked(one.number, str(one), one.at, _done(inbox, one)) for one in found]
    added = additions(found)
    begun = sum(inbox.answer_to(one) is not None for one in added)
    return Instructions(asked, is_paused(found), len(added), begun)


def lines(found: Instructions, driver: str | None) -> list[str]:
    """Say what was asked, a line each; a pause that lasts comes first."""
    waits = "not yet" if driver else "not yet: waits for a driver"
    rows = [f"{one.number} at {_clock(one.at)}: {one.text}: {one.done or waits}" for one in found.asked]
    if found.paused:
        rows.insert(0, "the study is paused until 'resume'")
    return [f"{'asked' if place == 0 else '':<8}{row}" for place, row in enumerate(rows)]


def _done(inbox: Inbox, one: Instruction) -> str:
    answer = inbox.answer_to(one)
    return "" if answer is None else answer.text


def _clock(at: float) -> str:
    return time.strftime("%d %b %H:%M", time.localtime(at))
