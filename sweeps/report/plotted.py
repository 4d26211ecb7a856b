"""The trials of a study as the plots take them: from the study's folder in a report, from MLflow in a notebook."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params
from sweeps.state.job import Outcome, read_job, scored_points, spent
from sweeps.state.paths import StudyPaths, TrialPaths
from tsvan.journal import Journal


@dataclass(frozen=True)
class PlottedTrial:
    """One trial of the sweep.

    Args:
        number: of the trial.
        state: `complete`, `pruned`, `diverged`, `failed` or `running`.
        params: swept settings by name.
        score: last value of the objective; only that of a complete trial is of the full budget. None: no score.
        iteration: iterations done.
        seconds: training and scoring time; None: not known.
        origin: `sampler`, or where else the settings are from.
        reason: why it is not complete.
        curve: (iteration, score) in order.
        gpu_gib: peak GPU memory; None: not measured.
        weights: number of weights of all networks; None: not counted.
        published: its settings are the published row's, or the nearest in the space.
    """

    number: int
    state: str
    params: dict[str, Any]
    score: float | None
    iteration: int = 0
    seconds: float | None = None
    origin: str = "sampler"
    reason: str = ""
    curve: tuple[tuple[int, float], ...] = ()
    gpu_gib: float | None = None
    weights: float | None = None
    published: bool = False

    @property
    def title(self) -> str:
        """Name the trial in a plot."""
        return f"trial {self.number}" + (" (published row)" if self.published else "")


@dataclass(frozen=True)
class PlottedStudy:
    """A study's trials, in the order of their numbers."""

    config: SweepConfig
    trials: tuple[PlottedTrial, ...] = field(default=())

    @property
    def score_title(self) -> str:
        """Title a score axis: the metric, and which way is better."""
        objective = self.config.objective
        return f"{objective.metric} ({'higher' if objective.sign > 0 else 'lower'} is better)"

    @cached_property
    def complete(self) -> tuple[PlottedTrial, ...]:
        """List the complete trials with a finite score, best first: only they had the full budget."""
        found = [trial for trial in self.trials if trial.state == "complete" and _score(trial) is not None]
        return tuple(self.config.objective.rank(found, lambda trial: _score(trial) or 0.0))

    @cached_property
    def by_number(self) -> dict[int, PlottedTrial]:
        """Map the trials by their numbers."""
        return {trial.number: trial for trial in self.trials}

    @cached_property
    def digits(self) -> int:
        """Count the decimals that tell the complete trials' scores apart."""
        return score_digits([trial.score for trial in self.complete if trial.score is not None])

    @cached_property
    def others(self) -> tuple[PlottedTrial, ...]:
        """List the trials without a rank: stopped early, diverged, failed or running."""
        ranked = {trial.number for trial in self.complete}
        return tuple(trial for trial in self.trials if trial.number not in ranked)

    def to_optuna(self) -> optuna.Study:
        """Make a study in memory for Optuna's own plots: complete trials under their numbers, nothing of the others."""
        space = distributions(self.config)
        known = {trial.number: trial for trial in self.complete}
        with quiet_optuna():
            study = optuna.create_study(direction=self.config.objective.direction)
        for number in range(max(known, default=-1) + 1):
            study.add_trial(_frozen(known[number], space) if number in known else create_trial(state=TrialState.FAIL))
        return study


def read_trials(paths: StudyPaths, config: SweepConfig, ended: dict[Path, PlottedTrial] | None = None) -> PlottedStudy:
    """Read the trials of a study from their folders, those at work among them.

    Args:
        ended: trials that had ended when they were read before; they are not read again, and new ones are added.
    """
    ended = {} if ended is None else ended
    for folder in sorted(paths.root.glob("trials/*")):
        if folder not in ended and (trial := _read_trial(TrialPaths(folder), config)) is not None:
            ended[folder] = trial
    trials = tuple(sorted(ended.values(), key=lambda trial: trial.number))
    for folder in [folder for folder, trial in ended.items() if trial.state == "running"]:
        del ended[folder]
    return PlottedStudy(config, trials)


def _read_trial(folder: TrialPaths, config: SweepConfig) -> PlottedTrial | None:
    job = read_job(folder)
    if job is None:
        return None
    outcome, metric = Outcome.read(folder), config.objective.metric
    points = scored_points(Journal(folder.metrics))
    curve = tuple((point.iteration, point.values[metric]) for point in points if metric in point.values)
    params, origin = published_params(config)
    trial = PlottedTrial(
        number=job.number,
        state="running" if outcome is None else outcome.state,
        params=job.params,
        score=curve[-1][1] if curve else None,
        iteration=points[-1].iteration if points else 0,
        seconds=spent(folder),
        origin=job.origin or (origin if job.params == params else "sampler"),
        published=job.params == params,
        curve=curve,
    )
    if outcome is None:
        return trial
    gpu = outcome.details.get("gpu_bytes") or 0
    return replace(
        trial,
        score=outcome.values.get(metric),
        iteration=outcome.iteration,
        reason=outcome.reason,
        seconds=outcome.seconds or trial.seconds,
        gpu_gib=gpu / 2**30 if gpu else None,
    )


def score_digits(scores: Sequence[float]) -> int:
    """Count the decimals that tell scores apart: three digits of what they span, four decimals where they are equal."""
    spread = max(scores) - min(scores) if scores else 0.0
    return min(max(2 - math.floor(math.log10(spread)), 0), 9) if spread > 0 else 4


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from announcing every study that is made."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def inside(prior: BaseDistribution, value: Any) -> Any:
    """Clip a value that was read from text into its prior: a derived ratio may lie an ulp outside of it."""
    if isinstance(prior, IntDistribution):
        return min(max(round(value), prior.low), prior.high)
    return min(max(float(value), prior.low), prior.high) if isinstance(prior, FloatDistribution) else value


def _frozen(trial: PlottedTrial, space: dict[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    params = {name: inside(prior, trial.params[name]) for name, prior in space.items()}
    return create_trial(state=TrialState.COMPLETE, params=params, distributions=space, value=trial.score)


def _score(trial: PlottedTrial) -> float | None:
    return trial.score if trial.score is not None and math.isfinite(trial.score) else None
