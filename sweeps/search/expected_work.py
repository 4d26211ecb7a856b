"""How much of a whole trial early stopping lets a trial train, on the mean: simulated with the rule itself."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sweeps.config.schema import Objective, SchedulerConfig
from sweeps.search.early_stopping import EarlyStoppingRule
from tsvan.run_config import Schedule

_STUDIES = 20


def expected_share(schedule: Schedule, scheduler: SchedulerConfig, trials: int) -> float:
    """Return the mean share of a whole trial's iterations that is trained, 1 without early stopping.

    What a rule of the user's own stops is not known: it counts as none.

    Scores are taken to be in any order, each the same at all rungs: whoever is good early stays so.
    """
    if scheduler.own:
        return 1.0
    rule = EarlyStoppingRule.of(schedule, scheduler, Objective())
    if not rule.rungs:
        return 1.0
    return _simulated(rule.rungs, rule.reduction, rule.brackets, trials, schedule.total)


@lru_cache
def _simulated(rungs: tuple[int, ...], reduction: int, brackets: int, trials: int, total: int) -> float:
    draws, trained = np.random.default_rng(0), 0
    for _ in range(_STUDIES):
        rule = EarlyStoppingRule(rungs, reduction, Objective(), brackets)
        for number, score in enumerate(draws.random(trials).tolist()):
            trained += next((rung for rung in rungs if not rule.goes_on(number, rung, score)), total)
    return trained / (_STUDIES * trials * total)
