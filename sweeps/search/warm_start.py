"""`stages/warm_start.json`: what a study takes over from earlier ones. Written once, before its first trial.

Where clips, scorer and budget are the same, a score there is a score here: their complete trials are shown to the
sampler as observations. They are in no database and in no folder of the study, and so are never counted as its own.
Where they are not the same, only the settings mean something: the best are tried first, as trials of the study.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.config import priors
from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params, train_config
from sweeps.search.earlier_studies import EarlierStudy, EarlierTrial
from sweeps.state.paths import StudyPaths
from tsvan.files import shown_path, write_atomically
from tsvan.state_file import MADE_AGAIN, read_state
from tsvan.terminal import counted
from tsvan.validation import UserError

FIRST = 3
"""Best trials of each earlier study that are tried first."""
OBSERVED = "observed_in"
"""User attribute that marks an observation in the sampler's copy of the study."""


@dataclass(frozen=True)
class TakenOver:
    """What is taken over from one earlier study.

    Args:
        folder: of it, as it was given.
        study_id: its own.
        unlike: why its scores are not scores here; empty: they are, and its trials are observations.
        trials: those that are taken over, best first.
    """

    folder: str
    study_id: str
    unlike: str
    trials: list[EarlierTrial]

    def origin(self, trial: EarlierTrial) -> str:
        """Say where the settings of a trial that is tried first are from."""
        return f"trial {trial.number} of {self.folder}"

    def __str__(self) -> str:
        """Say in a line what is taken over."""
        count = counted(len(self.trials), "trial")
        if not self.unlike:
            return f"the sampler knows {count} of {self.folder} (same clips, scorer and budget), which are not counted"
        return f"the best {count} of {self.folder} are tried first ({self.unlike})"


@dataclass(frozen=True)
class WarmStart:
    """All that a study takes over from earlier ones."""

    studies: list[TakenOver] = field(default_factory=list)

    @classmethod
    def read(cls, paths: StudyPaths) -> WarmStart:
        """Read what the study takes over; nothing where it began by itself. Raises UserError: the file is damaged."""
        return read_state(paths.warm_start, cls, MADE_AGAIN) or cls()

    def firsts(self, config: SweepConfig) -> list[tuple[str, dict[str, Any]]]:
        """List the settings that are tried first and where they are from; at most all trials but the published row."""
        row, _ = published_params(config)
        found: dict[str, tuple[str, dict[str, Any]]] = {}
        for study in self.studies:
            for trial in study.trials if study.unlike else []:
                if trial.params != row:
                    found.setdefault(json.dumps(trial.params, sort_keys=True), (study.origin(trial), trial.params))
        return list(found.values())[: max(config.trials - 1, 0)]

    def observations(self, config: SweepConfig) -> list[FrozenTrial]:
        """Return the trials that the sampler sees beside the study's own, marked as such."""
        return [
            create_trial(
                state=TrialState.COMPLETE,
                values=[trial.scores[objective.metric] for objective in config.objectives],
                params={name: priors.to_sampler(config.space[name], value) for name, value in trial.params.items()},
                distributions={name: priors.for_sampler(prior) for name, prior in config.space.items()},
                user_attrs={OBSERVED: study.origin(trial)},
            )
            for study in self.studies
            if not study.unlike
            for trial in study.trials
        ]


def take_over(
    earlier: Sequence[EarlierStudy],
    config: SweepConfig,
    store_hash: str,
    scorer_hash: str,
    paths: StudyPaths,
    say: Callable[[str], None] = lambda line: None,
) -> WarmStart:
    """Take over what earlier studies have, once, before the first trial; a study that has begun keeps what it took.

    Args:
        earlier: that the command names; none: as the study began.
        config: of the study, its objective chosen.
        store_hash, scorer_hash: of the study.
        say: told, in a line each, what is taken over.

    Raises:
        UserError: the study has begun with others, or without.
    """
    taken = _taken_over(earlier, config, store_hash, scorer_hash, paths)
    for study in taken.studies:
        say(f"warm start: {study}")
    return taken


def _taken_over(
    earlier: Sequence[EarlierStudy], config: SweepConfig, store_hash: str, scorer_hash: str, paths: StudyPaths
) -> WarmStart:
    there = WarmStart.read(paths)
    if not earlier:
        return there
    known = {study.study_id for study in there.studies}
    if any(paths.root.glob("trials/*/job.json")):
        if known != {study.study_id for study in earlier}:
            began = ", ".join(study.folder for study in there.studies) or "none"
            raise UserError(
                f"the study in {paths.root} has begun with --warm-start {began}, and its trials are drawn by that; "
                f"leave --warm-start out, or choose another --out"
            )
        return there
    new = WarmStart([_taken(study, config, store_hash, scorer_hash) for study in earlier])
    write_atomically(paths.warm_start, json.dumps(asdict(new), indent=1))
    return new


def _taken(study: EarlierStudy, config: SweepConfig, store_hash: str, scorer_hash: str) -> TakenOver:
    unlike = _unlike(study, config, store_hash, scorer_hash)
    if unlike:
        trials = [EarlierTrial(one.number, _common(one, config)) for one in study.trials]
        trials = [one for one in trials if one.params][:FIRST]
    else:
        trials = [
            one for one in study.trials if set(_common(one, config)) == set(config.space) and _scored(one, config)
        ]
    return TakenOver(shown_path(study.folder), study.study_id, unlike, trials)


def _unlike(study: EarlierStudy, config: SweepConfig, store_hash: str, scorer_hash: str) -> str:
    """Say why the scores of an earlier study are not scores here; empty: they are."""
    theirs = study.config
    if study.store_hash != store_hash:
        return "its clips are others"
    if study.scorer_hash != scorer_hash or theirs.scoring.validation_clips != config.scoring.validation_clips:
        return "its scorer is another"
    if theirs.budget != config.budget:
        return "its budget is another"
    if set(theirs.space) != set(config.space) or theirs.base != config.base:
        return "it sweeps or fixes other settings"
    return "" if theirs.objectives == config.objectives else "its objective is another"


def _common(trial: EarlierTrial, config: SweepConfig) -> dict[str, Any]:
    """Return the settings of a trial that the study sweeps, as far as they lie in its space."""
    space, found = distributions(config), dict[str, Any]()
    for name, value in trial.params.items():
        if name not in space:
            continue
        try:
            create_trial(state=TrialState.RUNNING, params={name: value}, distributions={name: space[name]})
        except (ValueError, TypeError):
            continue
        found[name] = value
    row, _ = published_params(config)
    try:
        train_config(config, {**row, **found}, seed=0)
    except UserError:
        return {}
    return found


def _scored(trial: EarlierTrial, config: SweepConfig) -> bool:
    return all(objective.metric in trial.scores for objective in config.objectives)
