"""Which side people prefer, and how sure that is; pure.

Supplement B.3: "We calculate the percentage of user preference and bootstrap the variance."
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.user_study.answers import Answer, Question
from analysis.user_study.pairs import Showing
from analysis.user_study.study import StudyRecord

ENOUGH_RATERS = 5
"""From so many on, raters are resampled: answers of one rater resemble each other. A bootstrap of fewer says little."""

SUSPICIOUS = 10
"""A rater with so many answers, all on one side, is marked: by chance this happens to one in 500."""

Unit = Literal["raters", "pairs"]


@dataclass(frozen=True)
class Preference:
    """How often side a was preferred.

    Args:
        percent: of the answers.
        variance: of `percent` over bootstrap resamples, squared percentage points; None: there is one unit only.
        interval: its 2.5th and 97.5th percentile; None as before.
        answers: counted.
    """

    percent: float
    variance: float | None
    interval: tuple[float, float] | None
    answers: int

    @property
    def deviation(self) -> float | None:
        """Return the bootstrap standard deviation, in percentage points; None: there is no variance."""
        return None if self.variance is None else float(np.sqrt(self.variance))


@dataclass(frozen=True)
class QuestionResult:
    """The preference in one question, overall and by class."""

    overall: Preference
    by_label: dict[str, Preference]


@dataclass(frozen=True)
class RaterHabit:
    """How often a rater took the left one; everyone sees each side on the left about equally often."""

    rater: str
    answers: int
    left_percent: float

    @property
    def one_sided(self) -> bool:
        """Tell whether the rater always took the same side, over many answers."""
        return self.answers >= SUSPICIOUS and self.left_percent in (0.0, 100.0)


@dataclass(frozen=True)
class Result:
    """What a study found.

    Args:
        questions: by question, those that have answers.
        unit: what was resampled.
        resamples: how often.
        showings_answered: showings with an answer.
        left_percent: of all answers.
        raters: everyone's habit, the most one-sided first.
    """

    questions: dict[Question, QuestionResult]
    unit: Unit
    resamples: int
    showings_answered: int
    left_percent: float
    raters: tuple[RaterHabit, ...]


@dataclass(frozen=True)
class _Vote:
    """An answer with what is behind it: the unit that it belongs to, its class, and whether side a was preferred."""

    unit: str | int
    label: str
    for_a: bool


def score(record: StudyRecord, answers: Sequence[Answer], resamples: int = 10_000, seed: int = 0) -> Result:
    """Count the answers of a study, and bootstrap its preferences.

    Args:
        record: of the study.
        answers: at least one, each question of a rater once.
        resamples: bootstrap resamples.
        seed: of the resampling.
    """
    habits = _habits(answers)
    unit: Unit = "raters" if len(habits) >= ENOUGH_RATERS else "pairs"
    questions: dict[Question, QuestionResult] = {}
    asked: tuple[Question, ...] = ("plain", "told")
    for question in asked:
        votes = [_vote(answer, record.by_id[answer.showing], unit) for answer in answers if answer.question == question]
        if votes:
            questions[question] = _question(votes, record.labels, resamples, seed)
    return Result(
        questions=questions,
        unit=unit,
        resamples=resamples,
        showings_answered=len({answer.showing for answer in answers}),
        left_percent=_percent([answer.choice == "left" for answer in answers]),
        raters=habits,
    )


def prefers_a(answer: Answer, showing: Showing) -> bool:
    """Tell whether the chosen clip is side a's."""
    return (answer.choice == "left") == (showing.left_side == "a")


def bootstrap_percent(
    favourable: Sequence[int], answers: Sequence[int], resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return the percentages for side a of resamples of whole units, drawn with replacement; (R,).

    Args:
        favourable: of each unit, answers for side a.
        answers: of each unit, all answers; at least one.
    """
    k, n = np.asarray(favourable, np.float64), np.asarray(answers, np.float64)
    rng = np.random.default_rng(seed)
    parts = []
    for start in range(0, resamples, _BLOCK):  # a few of the resamples at once: they are as wide as there are pairs
        counts = rng.multinomial(len(k), np.full(len(k), 1 / len(k)), size=min(_BLOCK, resamples - start))
        parts.append(100 * (counts @ k) / (counts @ n))
    return np.concatenate(parts)


_BLOCK = 500


def _vote(answer: Answer, showing: Showing, unit: Unit) -> _Vote:
    return _Vote(answer.rater if unit == "raters" else showing.pair, showing.label, prefers_a(answer, showing))


def _question(votes: Sequence[_Vote], labels: Sequence[str], resamples: int, seed: int) -> QuestionResult:
    by_label = {label: [vote for vote in votes if vote.label == label] for label in labels}
    return QuestionResult(
        _preference(votes, resamples, seed),
        {label: _preference(found, resamples, seed) for label, found in by_label.items() if found},
    )


def _preference(votes: Sequence[_Vote], resamples: int, seed: int) -> Preference:
    total = Counter(vote.unit for vote in votes)
    for_a = Counter(vote.unit for vote in votes if vote.for_a)
    percent = _percent([vote.for_a for vote in votes])
    if len(total) < 2:
        return Preference(percent, None, None, len(votes))
    units = sorted(total, key=str)
    drawn = bootstrap_percent([for_a[unit] for unit in units], [total[unit] for unit in units], resamples, seed)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Preference(percent, float(drawn.var()), (float(low), float(high)), len(votes))


def _habits(answers: Sequence[Answer]) -> tuple[RaterHabit, ...]:
    by_rater: dict[str, list[Answer]] = {}
    for answer in answers:
        by_rater.setdefault(answer.rater, []).append(answer)
    habits = [
        RaterHabit(rater, len(given), _percent([answer.choice == "left" for answer in given]))
        for rater, given in sorted(by_rater.items())
    ]
    return tuple(sorted(habits, key=lambda habit: -abs(habit.left_percent - 50)))


def _percent(yes: Sequence[bool]) -> float:
    return 100 * sum(yes) / len(yes)
