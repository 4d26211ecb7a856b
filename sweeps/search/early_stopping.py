"""Early stopping as pure decisions: asynchronous successive halving over rungs of OUR iteration.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA): whoever reaches a rung is compared with
those who reached it before; nobody waits. `hyperband` runs several brackets over the same rungs, each of which begins
one rung later, so that some trials are judged late only. A class of the user's may take the rule's place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sweeps.config.schema import Objective, SchedulerConfig
from tsvan.own_code import load_own
from tsvan.run_config import Schedule
from tsvan.validation import UserError, first_line

SCORES_PER_TRIAL = 10


def score_points(schedule: Schedule) -> tuple[int, ...]:
    """List the iterations at which a trial is scored: each tenth of the joint phase, from the end of pre-training."""
    steps = (math.ceil(schedule.iterations * k / SCORES_PER_TRIAL) for k in range(1, SCORES_PER_TRIAL + 1))
    return tuple(dict.fromkeys(schedule.pretrain_iterations + step for step in steps))


def save_points(schedule: Schedule) -> tuple[int, ...]:
    """List the iterations at which a checkpoint is written: every score, and as often during pre-training."""
    if schedule.pretrain_iterations == 0:
        return score_points(schedule)
    every = max(1, math.ceil(schedule.iterations / SCORES_PER_TRIAL))
    return (*range(every, schedule.pretrain_iterations, every), *score_points(schedule))


def rung_points(schedule: Schedule, config: SchedulerConfig) -> tuple[int, ...]:
    """List the first score at or after each rung; none for `none`, and never the last: nothing is left to save."""
    if config.kind == "none" or config.own:
        return ()
    return _rungs(schedule, config)


def _rungs(schedule: Schedule, config: SchedulerConfig) -> tuple[int, ...]:
    points = score_points(schedule)
    targets = (schedule.pretrain_iterations + rung * schedule.iterations - 1e-6 for rung in config.rungs)
    found = (next(point for point in points if point >= target) for target in targets)
    return tuple(dict.fromkeys(point for point in found if point < points[-1]))


def waiting_points(schedule: Schedule, config: SchedulerConfig) -> tuple[int, ...] | None:
    """List the scores at which a trial waits for the rule's answer; None: at all, as a rule of one's own needs."""
    return None if config.own else rung_points(schedule, config)


class StoppingRule(Protocol):
    """The interface of a rule that says who goes on; one of the user's own has the same."""

    def recall(self, scores: Iterable[tuple[int, int, float]]) -> None:
        """Remember what a study saw before this process: (number of the trial, iteration, score)."""

    def goes_on(self, number: int, iteration: int, score: float) -> bool:
        """Judge a trial's score; False: stop it."""


def stopping_rule(schedule: Schedule, config: SchedulerConfig, objective: Objective) -> StoppingRule:
    """Make the rule of a study: one that ships, or the user's own class.

    The user's is made as `Class(rungs=, reduction=, objective=, ...)`, with the iterations of the rungs and the
    keywords beside `kind`, and is asked at every score but the last.

    Raises:
        UserError: there is no such class, or it has not the interface.
    """
    if not config.own:
        return EarlyStoppingRule.of(schedule, config, objective)
    cls, rungs = load_own(config.kind, "scheduler.kind"), _rungs(schedule, config)
    try:
        rule: StoppingRule = cls(rungs=rungs, reduction=config.reduction, objective=objective, **config.keywords)
    except Exception as error:  # whatever a user's class raises
        text = f"{config.kind} can't be made: {type(error).__name__}: {first_line(error)}"
        raise UserError(f"scheduler: {text}; it is given rungs, reduction, objective and your keywords") from None
    missing = [name for name in ("recall", "goes_on") if not callable(getattr(rule, name, None))]
    if missing:
        text = f"{config.kind} has no method {missing[0]}"
        raise UserError(f"scheduler: {text}; give it recall(scores) and goes_on(number, iteration, score)")
    return rule


@dataclass
class EarlyStoppingRule:
    """The rule that says who goes on at a rung.

    Args:
        rungs: iterations, rising.
        reduction: about one in so many goes on.
        objective: says which score is better.
        brackets: 1 (`asha`) or more (`hyperband`); trial n is in bracket n mod brackets, which skips that many rungs.
    """

    rungs: tuple[int, ...]
    reduction: int
    objective: Objective
    brackets: int = 1
    _seen: dict[tuple[int, int], dict[int, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, schedule: Schedule, config: SchedulerConfig, objective: Objective) -> EarlyStoppingRule:
        """Build the rule of a study."""
        rungs = rung_points(schedule, config)
        brackets = len(rungs) + 1 if config.kind == "hyperband" else 1
        return cls(rungs, config.reduction, objective, brackets)

    def recall(self, scores: Iterable[tuple[int, int, float]]) -> None:
        """Remember what a study saw before this process: (number of the trial, iteration, score)."""
        for number, iteration, score in scores:
            self.record(number, iteration, score)

    def record(self, number: int, iteration: int, score: float) -> None:
        """Remember a score at a rung without judging it (a study that goes on)."""
        key = self._rung(number, iteration)
        if key is not None:
            self._seen.setdefault(key, {})[number] = score

    def goes_on(self, number: int, iteration: int, score: float) -> bool:
        """Judge a trial's score.

        Args:
            number: of the trial.
            iteration: at which it was scored, pre-training included.
            score: finite.

        Returns:
            False: stop it. True anywhere but at a rung of its bracket, and for a trial that passed this rung before.
        """
        key = self._rung(number, iteration)
        if key is None or number in self._seen.get(key, {}):
            return True
        self.record(number, iteration, score)
        scores = self.objective.rank(self._seen[key].values(), lambda value: value)
        kept = max(1, math.ceil(len(scores) / self.reduction))
        return not self.objective.better(scores[kept - 1], score)

    def _rung(self, number: int, iteration: int) -> tuple[int, int] | None:
        bracket = number % self.brackets
        if iteration not in self.rungs or self.rungs.index(iteration) < bracket:
            return None
        return bracket, iteration
