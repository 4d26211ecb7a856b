"""Which configs the final stage is about: the sweep's best, the published row, or one from a file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweeps.config.schema import SweepConfig
from sweeps.config.space import published_params, train_config
from sweeps.final.smoothing import Smoothed, ranked, smoothed
from sweeps.state.job import Job
from sweeps.state.paths import StudyPaths
from tsvan.config import TrainConfig
from tsvan.scoring.seal import SEALED
from tsvan.validation import UserError, load_yaml


@dataclass(frozen=True)
class Candidate:
    """A config that may be reported.

    Args:
        role: `best` or `published` or `chosen` (from a file).
        config: at the study's budget; its seed means nothing here.
        origin: for people, as "trial 7" or "table 3".
        trial: number in the sweep; None: it was not in the sweep.
        sweep_values: its scores there, on the `validation` group.
        smoothed: what the complete trials together say of it; None: they are too few.
    """

    role: str
    config: TrainConfig
    origin: str
    trial: int | None = None
    sweep_values: dict[str, float] | None = None
    smoothed: Smoothed | None = None

    @property
    def key(self) -> str:
        """Return eight hex digits of its settings' hash: equal settings share their runs."""
        return self.config.settings_hash[:8]


def published_candidate(config: SweepConfig, study: optuna.Study | None) -> Candidate:
    """Return the rival: the published row (in a narrowed space its nearest point, the study's first trial)."""
    params, origin = published_params(config)
    return from_sweep(Candidate("published", train_config(config, params, 0), origin), config, study)


def best_candidates(config: SweepConfig, study: optuna.Study, count: int) -> list[Candidate]:
    """Rank the sweep's best completed trials, best first; of a Pareto study the front, by the first objective."""
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE]
    if config.second_objective is not None:
        front = {trial.number for trial in study.best_trials}
        complete = [trial for trial in complete if trial.number in front]
    ranked = config.objective.rank(complete, lambda trial: trial.values[0])
    return [_candidate(config, trial) for trial in ranked[:count]]


def shortlist(config: SweepConfig, study: optuna.Study, count: int) -> list[Candidate]:
    """Choose the candidates of the confirm stage, the likeliest first.

    They are ranked by the mean of a Gaussian process over the complete trials, or by their scores where these are too
    few or there are two objectives.
    """
    found = _smoothed(config, study)
    if not found:
        return best_candidates(config, study, count)
    trials = {trial.number: trial for trial in study.trials}
    chosen: dict[str, Candidate] = {}
    for number in ranked(found, config.objective):
        candidate = replace(_candidate(config, trials[number]), smoothed=found[number])
        chosen.setdefault(candidate.key, candidate)
        if len(chosen) == count:
            break
    return list(chosen.values())


def with_smoothed(candidate: Candidate, config: SweepConfig, study: optuna.Study) -> Candidate:
    """Return a candidate that was in the sweep with what the complete trials together say of it."""
    found = _smoothed(config, study) or {}
    return replace(candidate, smoothed=None if candidate.trial is None else found.get(candidate.trial))


def _smoothed(config: SweepConfig, study: optuna.Study) -> dict[int, Smoothed] | None:
    if config.second_objective is not None:
        return None
    complete = [trial for trial in study.trials if trial.state == TrialState.COMPLETE and trial.value is not None]
    scores = {trial.number: float(trial.value or 0.0) for trial in complete}
    return smoothed({trial.number: trial.params for trial in complete}, scores, config.space)


def candidate_from_file(config: SweepConfig, file: Path) -> Candidate:
    """Read a chosen config: nested as `config.yaml` of a trial, or flat as `lambda2: 5`. Its budget is the study's.

    Raises:
        UserError: unreadable, unknown settings, or another dataset.
    """
    values = load_yaml(file)
    if not isinstance(values, dict) or not values:
        raise UserError(f"{file}: expected a mapping of training settings, as in best.yaml of a study")
    if values.get("dataset", config.dataset) != config.dataset:
        raise UserError(f"{file} is a config for '{values['dataset']}', not for '{config.dataset}'; choose another one")
    base = config.base
    if any(isinstance(value, dict) for value in values.values()):
        values = {name: value for name, value in values.items() if name != "seed"}
        chosen = _at_budget(base.updated(values, str(file)), config)
    else:
        settings = {key: value for key, value in values.items() if key not in ("dataset", "seed")}
        chosen = _at_budget(base.with_settings(settings, str(file)), config)
    return Candidate("chosen", chosen, str(file))


def _at_budget(chosen: TrainConfig, config: SweepConfig) -> TrainConfig:
    """Put a file's config at the study's budget: the study's length, and its batch where that is not swept."""
    base = config.base
    batch = {} if "batch_size" in config.space else {"batch_size": base.optimiser.batch_size}
    settings = {**base.schedule.length, **batch, "seed": 0}
    return chosen.with_settings(settings, "the study's budget")


def final_job(template: Job, candidate: Candidate, stage: str, place: int, seed: int, paths: StudyPaths) -> Job:
    """Build the job of a rerun at the full budget with a fresh seed, scored once, at its end.

    Args:
        template: a job of the sweep, for what all jobs share.
        stage: `confirm` or `report`, also the sample group; or `calibrate`, which is scored as trials are.
        place: number of the seed.
        seed: of the training run.
    """
    name = f"{stage}-{candidate.key}-{place}"
    last = template.score_at[-1]
    return replace(
        template,
        name=f"final/{name}",
        number=place,
        folder=str(paths.final(name).folder),
        config={**candidate.config.to_dict(), "seed": seed},
        group="validation" if stage == "calibrate" else stage,
        seal=str(paths.choice) if stage == SEALED else "",
        score_at=(last,),
    )


def _candidate(config: SweepConfig, trial: FrozenTrial) -> Candidate:
    chosen = train_config(config, trial.params, 0)
    return Candidate("best", chosen, f"trial {trial.number}", trial.number, dict(trial.user_attrs.get("scores", {})))


def from_sweep(candidate: Candidate, config: SweepConfig, study: optuna.Study | None) -> Candidate:
    """Return the candidate with the value that the same settings had in the sweep, if they completed there."""
    for trial in study.trials if study is not None else []:
        if trial.state == TrialState.COMPLETE and _candidate(config, trial).key == candidate.key:
            return replace(candidate, trial=trial.number, sweep_values=dict(trial.user_attrs.get("scores", {})))
    return candidate
