"""Which showings a rater is asked: at random among those that fewest raters were asked so far."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from analysis.user_study.answers import Answer
from analysis.user_study.pairs import Showing
from analysis.user_study.study import StudyRecord


def draw_allotment(
    showings: Sequence[Showing], asked: Mapping[str, int], count: int, rng: np.random.Generator
) -> list[str]:
    """Draw the ids of showings for one rater, in a random order.

    Both orders of a pair go to different raters as long as there are pairs enough.

    Args:
        showings: all of the study.
        asked: id -> how many raters were asked it.
        count: showings to draw.
    """
    shuffled = [showings[place] for place in rng.permutation(len(showings))]
    shuffled.sort(key=lambda showing: asked.get(showing.id, 0))
    first: list[str] = []
    again: list[str] = []
    seen: set[int] = set()
    for showing in shuffled:
        (again if showing.pair in seen else first).append(showing.id)
        seen.add(showing.pair)
    drawn = (first + again)[:count]
    return [drawn[place] for place in rng.permutation(len(drawn))]


class Assignments:
    """Who is asked what, for as long as the server runs; safe to use from several threads.

    After a new start only what was answered counts: showings of raters who went away are asked again.

    Args:
        record: of the study.
        answers: so far.
        rng: of the draws.
    """

    def __init__(self, record: StudyRecord, answers: Sequence[Answer], rng: np.random.Generator) -> None:
        self._record, self._rng = record, rng
        self._lock = threading.Lock()
        self._asked = Counter(showing for _, showing in {(answer.rater, answer.showing) for answer in answers})
        self._given: dict[str, list[str]] = {}

    def of(self, rater: str) -> list[str]:
        """Return a rater's showings; the same when asked again."""
        with self._lock:
            if rater not in self._given:
                drawn = draw_allotment(self._record.showings, self._asked, self._record.per_rater, self._rng)
                self._given[rater] = drawn
                self._asked.update(drawn)
            return self._given[rater]
