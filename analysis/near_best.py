"""Which trials can't be told from the best, and which of all are worth their cost, as tables to choose from."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.plotted import plotted
from analysis.ranking import best_trial, completed, trial, trials_table
from analysis.reading import Study
from sweeps.final.seed_noise import NearBest
from sweeps.final.statistics import Noise, measured_noise
from sweeps.report.cost import memory_measure, pareto_front
from sweeps.report.near_best import near_best


def seed_scores(study: Study) -> dict[tuple[str, str], list[float]]:
    """Group the reruns' scores, one a training seed, by (stage, config)."""
    reruns = study.reruns.dropna(subset=["score"])
    return {
        (str(stage), str(config)): [float(score) for score in group["score"]]
        for (stage, config), group in reruns.groupby(["stage", "config"])
    }


def study_noise(study: Study) -> Noise | None:
    """Measure the noise between training seeds by reruns that were scored on as many clips as the trials; None: no
    config was trained with two seeds."""
    clips = study.config.num_clips("validation", len(study.config.rules.classes))
    return measured_noise(seed_scores(replace(study, reruns=study.reruns[study.reruns["clips"] == clips])))


def best_set(study: Study) -> NearBest | None:
    """Find the trials that can't be told from the best; None: the noise between seeds is not known.

    Raises:
        UserError: no trial is complete.
    """
    best_trial(study)
    return near_best(plotted(study), study_noise(study))


def set_table(study: Study, near: NearBest) -> pd.DataFrame:
    """Tabulate the set, best first, with the counted work of a training and the measured minutes beside it."""
    ranked = completed(study)
    table = trials_table(study, ranked[ranked["number"].isin(near.trials)])
    work = [f"{near.gflop[int(number)] / 1e6:.4g}" for number in table.index]
    table.insert(table.columns.get_loc("minutes"), "work (PFLOP)", work)
    notes = ["cheapest" if number == near.cheapest else "" for number in table.index]
    table["note"] = [", ".join(filter(None, both)) for both in zip(table["note"], notes, strict=True)]
    return table


def front_table(study: Study, near: NearBest | None) -> pd.DataFrame:
    """Tabulate the Pareto front of score, minutes and memory, best score first."""
    points = plotted(study)
    front = pareto_front(points.complete, study.config.objective, ["seconds", memory_measure(points)[0]])
    numbers = [one.number for one in front]
    ranked = completed(study)
    table = trials_table(study, ranked[ranked["number"].isin(numbers)])
    table["can't be told from the best"] = ["yes" if near and n in near.trials else "" for n in table.index]
    return table


def shown_trials(study: Study, near: NearBest | None) -> dict[str, pd.Series]:
    """Name the trials whose samples are worth a look side by side: the best, and the cheapest as good as it."""
    best = best_trial(study)
    if near is None or best["number"] == near.cheapest:
        return {f"best: trial {best['number']}": best}
    return {f"best: trial {best['number']}": best, f"cheapest: trial {near.cheapest}": trial(study, near.cheapest)}
