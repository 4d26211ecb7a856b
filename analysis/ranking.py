"""Which trials are good: only complete ones are ranked, as only they had the full budget."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from analysis.reading import COMPLETE, Study
from sweeps.report.plotted import score_digits
from tsvan.validation import UserError


def completed(study: Study) -> pd.DataFrame:
    """Return the complete trials with a finite score, best first."""
    trials = study.trials
    usable = trials[(trials["state"] == COMPLETE) & np.isfinite(trials["score"].astype(float))]
    return usable.sort_values(["score", "number"], ascending=[not study.maximize, True], ignore_index=True)


def stopped(study: Study) -> pd.DataFrame:
    """Return all other trials by number: pruned, diverged, failed or without an end.

    They had less budget, and have no rank.
    """
    return study.trials[~study.trials["number"].isin(completed(study)["number"])]


def best_trial(study: Study) -> pd.Series:
    """Return the best complete trial.

    Raises:
        UserError: no trial is complete; says what became of them.
    """
    ranked = completed(study)
    if ranked.empty:
        raise UserError(f"study {study.name} has no complete trial to choose ({states(study)}); let it run on")
    return ranked.iloc[0]


def trial(study: Study, number: int) -> pd.Series:
    """Return one trial by its number; refuse a number that the study does not have, with a UserError."""
    found = study.trials[study.trials["number"] == number]
    if found.empty:
        raise UserError(f"study {study.name} has no trial {number}; it has {len(study.trials)}, counted from 0")
    return found.iloc[0]


def states(study: Study) -> str:
    """Say how many trials ended in which state: `12 complete, 18 pruned, 2 diverged`."""
    counts = study.trials["state"].value_counts()
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "no trials"


def trials_table(study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """Tabulate trials for reading, in the order given.

    Times are in minutes, weights in millions; GPU memory is there where it was measured.
    """
    table = trials[["number", "state", *study.parameters, "score", "iteration"]].copy()
    digits = score_digits(list(completed(study)["score"].astype(float)))
    table["score"] = [f"{score:.{digits}f}" if math.isfinite(score) else "-" for score in trials["score"]]
    table["minutes"] = trials["seconds"].astype(float) / 60
    table["weights (M)"] = trials["weights"].astype(float) / 1e6
    if trials["gpu_gib"].notna().any():
        table["GPU GiB"] = trials["gpu_gib"].astype(float)
    table["note"] = [
        reason or ("" if origin == "sampler" else origin)
        for origin, reason in zip(trials["origin"], trials["reason"], strict=True)
    ]
    for name in table.select_dtypes("float"):
        table[name] = [_short(value) for value in table[name]]
    names = {"number": "trial", "score": study.config.objective.metric}
    return table.rename(columns=names).set_index("trial")


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "-"
