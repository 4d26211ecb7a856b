"""Optuna's samplers by name, and samplers of one's own: what a study's config makes of them."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import create_trial

from sweeps.config import priors
from sweeps.config.schema import SamplerConfig, SweepConfig
from sweeps.search.seeds import derive_seed
from tsvan.own_code import load_own
from tsvan.validation import UserError, first_line, nearest

SHORT = {
    "tpe": "TPESampler",
    "random": "RandomSampler",
    "qmc": "QMCSampler",
    "nsga2": "NSGAIISampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "grid": "GridSampler",
}
"""Short names of Optuna's classes."""

_ONE_SEED = ("QMCSampler", "GridSampler")
"""Samplers that follow one sequence through the whole study; all others have a seed of their own for every trial."""
_MOST_TRIED = 50
"""Trials at most of the made-up study that a sampler is tried on."""


def sampler_name(config: SamplerConfig) -> str:
    """Return the name of the sampler's class."""
    return SHORT.get(config.kind, config.kind)


def sampler_words(config: SamplerConfig) -> str:
    """Say a sampler in a few characters: `tpe`, `GPSampler, deterministic_objective=False`."""
    return ", ".join([config.kind, *(f"{key}={value}" for key, value in config.keywords.items())])


def make_sampler(config: SweepConfig, number: int) -> BaseSampler:
    """Make the sampler that draws one trial.

    Args:
        config: of the study.
        number: of the trial, which its seed is derived from.

    Raises:
        UserError: unknown class or keyword, or the class refuses.
    """
    asked, name = config.sampler, sampler_name(config.sampler)
    cls = load_own(name, "sampler.kind") if ":" in name else _of_optuna(asked.kind, name)
    takes = _parameters(cls)
    unknown = [key for key in asked.keywords if takes is not None and key not in takes]
    if unknown:
        known = {"kind", "startup_trials", *(takes or ())}
        text = f"sampler: {name} has no keyword '{unknown[0]}'; {nearest(unknown[0], known)}"
        raise UserError(f"{text}, or leave it out: --set sampler.{unknown[0]}=null")
    given = {key: value for key, value in _usual(config, name, number).items() if takes is None or key in takes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            sampler = cls(**{**given, **asked.keywords})
        except Exception as error:  # whatever a class, perhaps a user's own, raises of its keywords
            raise UserError(f"sampler: {name} refuses its keywords: {_what(error)}; see its documentation") from None
    if not isinstance(sampler, BaseSampler):
        raise UserError(f"sampler.kind: {name} is no sampler of Optuna's; derive it from optuna.samplers.BaseSampler")
    return sampler


def check_sampler(config: SweepConfig) -> None:
    """Check that a study's sampler can be made and draws, by a trial on made-up scores.

    Raises:
        UserError: it can't, and why.
    """
    sampler, name = make_sampler(config, 0), sampler_name(config.sampler)
    if type(sampler) is optuna.samplers.TPESampler and not config.sampler.keywords:
        return  # the default, which needs no trying
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    random = RandomSampler(seed=0)
    space = {key: priors.for_sampler(prior) for key, prior in config.space.items()}
    study = optuna.create_study(directions=[objective.direction for objective in config.objectives], sampler=random)
    for place in range(min(config.sampler.startup_trials + 2, _MOST_TRIED)):
        params = study.ask(space).params
        values = [float((place * 7) % 5 + side) for side in range(len(config.objectives))]
        study.add_trial(create_trial(params=params, distributions=space, values=values))
    study.sampler = sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            study.ask(space)
        except ModuleNotFoundError as error:
            raise UserError(f"sampler: {name} needs the package {error.name}: pip install {error.name}") from None
        except Exception as error:  # whatever a sampler, perhaps a user's own, raises
            raise UserError(f"sampler: {name} can't draw from this space: {_what(error)}") from None


def _of_optuna(kind: str, name: str) -> Any:
    known = [item for item in optuna.samplers.__all__ if inspect.isclass(getattr(optuna.samplers, item))]
    usable = [item for item in known if not inspect.isabstract(getattr(optuna.samplers, item))]
    if name not in usable:
        hint = nearest(kind, (*SHORT, *usable, "module:Class of your own"))
        raise UserError(f"sampler.kind: unknown '{kind}'; {hint}")
    return getattr(optuna.samplers, name)


def _parameters(cls: Any) -> set[str] | None:
    """List the keywords that a class takes; None: any."""
    try:
        found = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):
        return None
    return None if any(item.kind is item.VAR_KEYWORD for item in found) else {item.name for item in found}


def _usual(config: SweepConfig, name: str, number: int) -> dict[str, Any]:
    """Return what a sampler is given unless the config says otherwise, where its class has such a keyword."""
    seed = derive_seed(config.seed, "sampler") if name in _ONE_SEED else derive_seed(config.seed, "sampler", number)
    usual: dict[str, Any] = {"seed": seed, "n_startup_trials": config.sampler.startup_trials}
    if name == "TPESampler":
        # Written out: a default of Optuna's that changes would change the draws. The constant liar keeps parallel
        # trials from crowding at one point; with two objectives the parameters are drawn one by one.
        return {**usual, "multivariate": len(config.objectives) == 1, "constant_liar": True}
    if name == "QMCSampler":
        return {**usual, "scramble": True}
    if name == "GridSampler" and "search_space" not in config.sampler.keywords:
        return {**usual, "search_space": _grid(config)}
    return usual


def _grid(config: SweepConfig) -> dict[str, list[Any]]:
    grids = {name: priors.grid(prior) for name, prior in config.space.items()}
    for name, values in grids.items():
        if values is None:
            prior = config.space[name]
            step = (float(prior.high or 0) - float(prior.low or 0)) / 4
            raise UserError(f"sampler: a grid needs values or steps for space.{name}; --set space.{name}.step={step:g}")
    space = config.space
    return {name: [priors.to_sampler(space[name], one) for one in values or []] for name, values in grids.items()}


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
