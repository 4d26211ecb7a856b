"""What the sampler sees of a study: a copy in memory, made at each ask.

The database keeps what happened; the copy tells it as a sampler can use it. Optuna's samplers do not see a failed trial
at all, and so propose again what diverged: in the copy a diverged trial is pruned at its last score, or for a sampler
that reads complete trials alone complete with the worst score. Values whose order counts are whole numbers there.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, PartialFixedSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweeps.config import priors
from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions
from sweeps.search.samplers import make_sampler
from sweeps.search.storage import is_incomplete

STATE = "sampler"
"""User attribute of a trial that holds what its sampler wrote down: of the trial, and of the study by then."""
_FIXED = "fixed_params"
"""System attribute of a trial that was enqueued with its parameters."""
_NAME = "copy"


class StudyCopySampler(BaseSampler):
    """A sampler that asks the study's own one over a copy of the study in memory.

    Args:
        config: of the study.
        observed: trials of earlier studies that the sampler sees besides, as `copied` makes them.
    """

    def __init__(self, config: SweepConfig, observed: Sequence[FrozenTrial] = ()) -> None:
        self._config, self._observed = config, observed
        self.state: dict[str, Any] | None = None
        """What the sampler wrote down for the trial that was asked last; None: it was not asked."""

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the whole space, unless the trial has all its parameters already."""
        space = distributions(self._config)
        return {} if set(space) <= set(trial.system_attrs.get(_FIXED, {})) else space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Draw all parameters of a trial."""
        self.state = None
        if not search_space:
            return {}
        space, sampler = self._config.space, make_sampler(self._config, trial.number)
        known = study.get_trials(deepcopy=False)
        storage = InMemoryStorage()
        directions = [objective.direction for objective in self._config.objectives]
        copy = optuna.create_study(storage=storage, study_name=_NAME, directions=directions, sampler=sampler)
        study_id = storage.get_study_id_from_name(_NAME)
        for key, value in _study_state(known).items():
            storage.set_study_system_attr(study_id, key, value)
        copy.add_trials(copied(known[: trial.number], self._config, pruned=isinstance(sampler, TPESampler)))
        copy.add_trials(self._observed)  # last, so that a trial's number stays its place
        given = trial.system_attrs.get(_FIXED, {})
        fixed = {name: priors.to_sampler(space[name], value) for name, value in given.items()}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            copy.sampler = PartialFixedSampler(fixed, sampler) if fixed else sampler
            asked = copy.ask({name: priors.for_sampler(prior) for name, prior in space.items()})
        written = copy.get_trials(deepcopy=False)[-1].system_attrs
        self.state = {"trial": dict(written), "study": dict(storage.get_study_system_attrs(study_id))}
        return {name: priors.from_sampler(space[name], value) for name, value in asked.params.items()}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse: every parameter is drawn with the others.

        Raises:
            KeyError: always.
        """
        raise KeyError(f"{param_name} is not in the study's space")


def copied(known: list[FrozenTrial], config: SweepConfig, *, pruned: bool) -> list[FrozenTrial]:
    """Copy trials as the sampler is to see them; the number of a trial is its place.

    Args:
        known: in the order of their numbers.
        config: of the study.
        pruned: a diverged trial is pruned at its last score; else it is complete with the worst score of all.
    """
    complete = [trial.values for trial in known if trial.state == TrialState.COMPLETE]
    worst = [
        objective.sign * min(objective.sign * values[side] for values in complete)
        for side, objective in enumerate(config.objectives)
        if complete
    ]
    pruned = pruned and len(config.objectives) == 1  # Optuna stops no trials early where there are two
    return [_copied(trial, config, None if pruned else worst) for trial in known]


def _copied(trial: FrozenTrial, config: SweepConfig, worst: list[float] | None) -> FrozenTrial:
    if trial.state == TrialState.WAITING or is_incomplete(trial) or set(trial.params) != set(config.space):
        return create_trial(state=TrialState.FAIL)  # keeps the place of its number
    state, values, steps = trial.state, trial.values, trial.intermediate_values
    if trial.user_attrs.get("state") == "diverged" and worst is None:
        state, values = TrialState.PRUNED, [steps[max(steps)]] if steps else None
    elif trial.user_attrs.get("state") == "diverged" and worst:
        state, values = TrialState.COMPLETE, worst
    return create_trial(
        state=state,
        values=values,
        params={name: priors.to_sampler(config.space[name], value) for name, value in trial.params.items()},
        distributions={name: priors.for_sampler(prior) for name, prior in config.space.items()},
        user_attrs=trial.user_attrs,
        system_attrs={**trial.system_attrs, **trial.user_attrs.get(STATE, {}).get("trial", {})},
        intermediate_values=steps,
    )


def _study_state(known: list[FrozenTrial]) -> dict[str, Any]:
    """Return what samplers wrote down of the study itself, by the last trial that one of them drew."""
    found = [trial.user_attrs[STATE]["study"] for trial in known if STATE in trial.user_attrs]
    return dict(found[-1]) if found else {}
