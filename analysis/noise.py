"""Which trials are as good as the best for all that is known, and which of them is the cheapest."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from analysis.ranking import best_trial, completed, trial, trials_table
from analysis.reading import Study
from sweeps.config.space import train_config
from sweeps.final import seed_noise
from sweeps.final.statistics import Noise, measured_noise
from tsvan.cost import train_gflop

SHARE = 0.1
"""Without a measured noise: near the best means within this share of the way from the best to the median."""


@dataclass(frozen=True)
class BestSet:
    """The complete trials that can't be told from the best, or by convention are near it.

    Args:
        noise: between training seeds; None: it was not measured, and the set is a convention.
        margin: how far below the best a score may lie, in units of the objective.
        trials: their numbers, best first.
        complete: complete trials in all.
        cheapest: the one of `trials` with the least counted work; of equal ones the better.
        gflop: trial -> work of its training, GFLOP, counted and not measured: it knows nothing of a busy machine.
    """

    noise: Noise | None
    margin: float
    trials: list[int]
    complete: int
    cheapest: int
    gflop: dict[int, float]

    @property
    def text(self) -> str:
        """What the set is and where its margin comes from."""
        if self.complete == 1:
            return "One trial is complete, so there is nothing to tell it from."
        counts = f"{len(self.trials)} of {self.complete} complete trials"
        if self.noise is None:
            return (
                f"**By convention, not by measurement**, {counts} are near the best: within {self.margin:.3g}, which "
                f"is {SHARE:.0%} of the way from the best to the median score. No config was trained with two seeds, "
                "so the noise is not known, and nothing is proved about these trials or the others. `--calibrate 5` "
                "on a new study measures it."
            )
        return (
            f"**{counts} can't be told from the best**: they lie within {self.margin:.3g} of it. Noise between "
            f"training seeds: standard deviation {self.noise.std:.3g} with {self.noise.dof} degree(s) of "
            f"freedom, from {self.noise.source}. With probability 95% the truly best of the {self.complete} is among "
            "these (Hsu's multiple comparisons with the best)."
        )


def set_table(study: Study, found: BestSet) -> pd.DataFrame:
    """The set to read, best first, with the counted work of a training and the measured minutes beside it."""
    ranked = completed(study)
    table = trials_table(study, ranked[ranked["number"].isin(found.trials)])
    work = [f"{found.gflop[int(number)] / 1e6:.4g}" for number in table.index]
    table.insert(table.columns.get_loc("minutes"), "work (PFLOP)", work)
    notes = ["cheapest" if number == found.cheapest else "" for number in table.index]
    table["note"] = [", ".join(filter(None, both)) for both in zip(table["note"], notes, strict=True)]
    return table


def shown_trials(study: Study, found: BestSet) -> dict[str, pd.Series]:
    """Title -> trial: the best and the cheapest, whose samples are worth a look side by side."""
    best, cheapest = best_trial(study), trial(study, found.cheapest)
    if best["number"] == cheapest["number"]:
        return {f"best and cheapest: trial {best['number']}": best}
    return {f"best: trial {best['number']}": best, f"cheapest: trial {cheapest['number']}": cheapest}


def noise_text(study: Study) -> str:
    """How much the seed alone does, in a line."""
    noise, metric = study_noise(study), study.config.objective.metric
    if noise is None:
        return f"No config was trained with two seeds, so it is not known how much {metric} differs between seeds."
    return (
        f"Between training seeds of one config, {metric} has a standard deviation of **{noise.std:.3g}** "
        f"({noise.dof} degree{'' if noise.dof == 1 else 's'} of freedom), from {noise.source}."
    )


def seed_scores(study: Study) -> dict[tuple[str, str], list[float]]:
    """(stage, config) -> scores of its reruns, one a training seed."""
    reruns = study.reruns.dropna(subset=["score"])
    return {
        (str(stage), str(config)): [float(score) for score in group["score"]]
        for (stage, config), group in reruns.groupby(["stage", "config"])
    }


def study_noise(study: Study) -> Noise | None:
    """The noise between training seeds: of the calibration, else of the confirm stage, if that was scored on as many
    clips as the trials were; only the spread within each config is used and never which of them is better. None: no
    config was trained with two seeds."""
    clips = study.config.num_clips("validation", len(study.config.rules.classes))
    return measured_noise(seed_scores(replace(study, reruns=study.reruns[study.reruns["clips"] == clips])))


def best_set(study: Study) -> BestSet:
    """The trials near the best, by the measured noise where there is one.

    Raises:
        UserError: no trial is complete.
    """
    best_trial(study)
    rows = completed(study).to_dict("records")
    scores = {int(row["number"]): float(row["score"]) for row in rows}
    params = {int(row["number"]): {name: row[name] for name in study.parameters} for row in rows}
    found = seed_noise.near_best(study.config, study_noise(study), scores, params)
    if found is None:
        return _by_convention(study, scores, params)
    return BestSet(found.noise, found.margin, found.trials, found.complete, found.cheapest, found.gflop)


def _by_convention(study: Study, scores: dict[int, float], params: dict[int, dict[str, Any]]) -> BestSet:
    ranked = completed(study)
    best = float(ranked["score"].iloc[0])
    margin = SHARE * abs(best - float(ranked["score"].median()))
    trials = [number for number, score in scores.items() if abs(score - best) <= margin]
    gflop = {number: train_gflop(train_config(study.config, params[number], 0)) for number in trials}
    cheapest = min(trials, key=lambda number: (gflop[number], trials.index(number)))
    return BestSet(None, margin, trials, len(scores), cheapest, gflop)
