"""Which trials are good: only complete ones are ranked, as only they had the full budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.reading import COMPLETE, Study
from tsvan.strict import UserError

SHARE = 0.1
"""Without a measured noise, near the best means within this share of the way from the best to the median."""


@dataclass(frozen=True)
class Tolerance:
    """How far from the best a score may be to count as near.

    Args:
        value: in units of the objective.
        text: where it comes from, for people.
    """

    value: float
    text: str


def completed(study: Study) -> pd.DataFrame:
    """The complete trials with a finite score, best first."""
    trials = study.trials
    usable = trials[(trials["state"] == COMPLETE) & np.isfinite(trials["score"].astype(float))]
    return usable.sort_values(["score", "number"], ascending=[not study.maximize, True], ignore_index=True)


def best_trial(study: Study) -> pd.Series:
    """The best complete trial.

    Raises:
        UserError: no trial is complete; says what became of them.
    """
    ranked = completed(study)
    if ranked.empty:
        raise UserError(f"study {study.name} has no complete trial to choose ({states(study)}); let it run on")
    return ranked.iloc[0]


def states(study: Study) -> str:
    """How many trials ended in which state: `12 complete, 18 pruned, 2 diverged`."""
    counts = study.trials["state"].value_counts()
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no trials"


def seed_spread(study: Study) -> float | None:
    """Standard deviation of the score between training seeds of one config, pooled over the final stage's configs.

    None: no config was trained with two seeds. Only the spread of the reruns is used, never which of them is better.
    """
    squares, freedom = 0.0, 0
    for _, group in study.reruns.groupby(["stage", "config"]):
        scores = group["score"].dropna()
        if len(scores) > 1:
            squares += float(((scores - scores.mean()) ** 2).sum())
            freedom += len(scores) - 1
    return math.sqrt(squares / freedom) if freedom else None


def tolerance(study: Study) -> Tolerance:
    """From the noise between seeds where it was measured, else by convention."""
    spread = seed_spread(study)
    if spread is not None:
        # Two scores of one seed each differ by less than this in 95 of 100 cases when their configs are equally good.
        return Tolerance(1.96 * math.sqrt(2) * spread, f"measured: 1.96 x √2 x {spread:.3g}, the spread between seeds")
    scores = completed(study)["score"].astype(float)
    gap = abs(float(scores.iloc[0]) - float(scores.median())) if len(scores) else 0.0
    return Tolerance(
        SHARE * gap,
        f"by convention, {SHARE:.0%} of the way from the best to the median score: no config was trained with two "
        "seeds, so the noise is not known",
    )


def near_best(study: Study, within: Tolerance | None = None) -> pd.DataFrame:
    """The complete trials whose score is within the tolerance of the best, best first; the best is the first row."""
    ranked = completed(study)
    allowed = tolerance(study) if within is None else within
    if ranked.empty:
        return ranked
    gap = (ranked["score"].astype(float) - float(ranked["score"].iloc[0])).abs()
    return ranked[gap <= allowed.value]


def trials_table(study: Study, trials: pd.DataFrame | None = None) -> pd.DataFrame:
    """Trials to read: complete ones first and best first, then the others by number; times in minutes."""
    ranked = completed(study)
    rest = study.trials[~study.trials["number"].isin(ranked["number"])]
    chosen = pd.concat([ranked, rest.astype(ranked.dtypes.to_dict())]) if trials is None else trials
    table = chosen[["number", "state", *study.parameters, "score", "iteration"]].copy()
    table["minutes"] = chosen["seconds"].astype(float) / 60
    table["note"] = [
        reason or ("" if origin == "sampler" else origin)
        for origin, reason in zip(chosen["origin"], chosen["reason"], strict=True)
    ]
    for name in table.select_dtypes("float"):
        table[name] = [_short(value) for value in table[name]]
    names = {"number": "trial", "score": study.config.objective.metric}
    return table.rename(columns=names).set_index("trial")


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"
