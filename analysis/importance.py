"""How much each setting matters for the score: functional ANOVA over the complete trials.

A random forest predicts the score from the settings, and a setting's importance is the share of the forest's variance
that it explains alone (Hutter et al. 2014, as in Optuna). A setting that was never used, drawn at random, is added:
what is not clearly above it may be noise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd

from analysis.ranking import completed
from analysis.reading import Study
from sweeps.config.space import distributions

NOISE = "(random numbers)"
MIN_TRIALS = 10


@dataclass(frozen=True)
class Importances:
    """What was found, or why nothing was.

    Args:
        table: `setting`, `importance` (mean over repeats), `low`, `high` (90% of the repeats), most important first;
            None: too few trials.
        note: one line for people.
    """

    table: pd.DataFrame | None
    note: str


def importances(study: Study, repeats: int = 20, seed: int = 0, minimum: int = MIN_TRIALS) -> Importances:
    """Importances with their uncertainty.

    Each repeat grows a forest with its own seed on trials drawn with replacement, so the interval holds both the
    forest's and the trials' accidents; it is for orientation, not a test.

    Args:
        repeats: forests.
        seed: of all draws.
        minimum: with fewer complete trials there are no numbers, whatever they would be.
    """
    trials = completed(study)
    varied = [name for name in study.parameters if trials[name].nunique() > 1]
    needed = max(minimum, 2 * len(study.parameters))
    if len(trials) < needed:
        return Importances(
            None,
            f"No importances: they need at least {needed} complete trials, and this study has {len(trials)} of "
            f"{len(study.trials)}. With fewer, they would be the picture of an accident.",
        )
    if not varied or trials["score"].nunique() < 2:
        return Importances(None, "All complete trials have the same score or the same settings.")
    draws = np.random.default_rng(seed)
    with _quiet():
        found = pd.DataFrame([_once(study, trials, varied, draws) for _ in range(repeats)])
    table = pd.DataFrame(
        {"importance": found.mean(), "low": found.quantile(0.05), "high": found.quantile(0.95)}
    ).rename_axis("setting")
    table = table.sort_values("importance", ascending=False).reset_index()
    return Importances(table, _note(table, len(trials), repeats))


def _note(table: pd.DataFrame, trials: int, repeats: int) -> str:
    noise = float(table.loc[table["setting"] == NOISE, "high"].iloc[0])
    clear = [str(row.setting) for row in table.itertuples() if row.setting != NOISE and row.low > noise]
    found = ", ".join(clear) or "none"
    source = f"From {trials} complete trials; bars span 90% of {repeats} forests."
    return f"Clearly above random numbers: {found}. {source}"


def _once(study: Study, trials: pd.DataFrame, varied: list[str], draws: np.random.Generator) -> dict[str, float]:
    rows = trials.iloc[draws.integers(len(trials), size=len(trials))]
    # A setting that has one value in this draw explains nothing; Optuna drops it by itself.
    space = {name: prior for name, prior in distributions(study.config).items() if name in varied}
    space[NOISE] = optuna.distributions.FloatDistribution(0.0, 1.0)
    twin = optuna.create_study(direction=study.config.objective.direction)
    for row in rows.to_dict("records"):
        params = {name: _inside(space[name], row[name]) for name in varied}
        twin.add_trial(
            optuna.trial.create_trial(
                params={**params, NOISE: float(draws.random())}, distributions=space, value=float(row["score"])
            )
        )
    if rows["score"].nunique() < 2:
        return dict.fromkeys(space, 0.0)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=int(draws.integers(2**31)))
    values = optuna.importance.get_param_importances(twin, evaluator=evaluator)
    return {name: float(values.get(name, 0.0)) for name in space}


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces every study that is made."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _inside(prior: optuna.distributions.BaseDistribution, value: Any) -> Any:
    """A value from MLflow as Optuna had it: a derived ratio may lie an ulp outside of its range."""
    if isinstance(prior, optuna.distributions.FloatDistribution):
        return min(max(float(value), prior.low), prior.high)
    return value
