"""Rules between the keys of a sweep config, which no single field can check."""

from __future__ import annotations

import os

from sweeps.config import priors, space
from sweeps.config.schema import SCHEDULERS, SchedulerConfig, SweepConfig
from tsvan.run_config import TrainConfig
from tsvan.settings import settings
from tsvan.validation import UserError, nearest


def checked(config: SweepConfig, where: str) -> SweepConfig:
    """Return the config, if it is sound as a whole.

    Args:
        config: whose single values are valid.
        where: file or option, named in errors.

    Raises:
        UserError: the rule, the key, the value, and what to do.
    """
    try:
        model = config.published
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    _check_space(config, model, where)
    _check_fixed(config, model, where)
    _check_objectives(config, where)
    _check_scheduler(config.scheduler, where)
    share = config.resources.gpus_per_trial
    if not isinstance(share, str) and not 0 <= share <= 1:
        text = "must be 'auto' or lie in [0, 1], as a trial trains on one GPU"
        raise UserError(f"{where}: resources.gpus_per_trial {text}, got {share:g}; --set resources.gpus_per_trial=auto")
    _check_scoring(config, where)
    if config.calibrate.seeds == 1:
        text = "calibrate.seeds must be 0 or 2 and more, got 1; one seed shows no noise"
        raise UserError(f"{where}: {text}: --set calibrate.seeds=5")
    try:
        _ = config.base, config.scorer
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    space.check(config, where)
    return config


_DECIDED_ELSEWHERE = {
    "dataset": "--dataset NAME",
    "seed": "--set seed={value}",
    "iterations": "--set budget.iterations={value}",
    "pretrain_iterations": "--set budget.pretrain_iterations={value}",
    "batch_size": "--set budget.batch_size={value}",
}
_THE_SAME_FOR_ALL = ("dataset", "seed", "iterations", "pretrain_iterations")
"""What no space holds: trials would not be comparable."""


def swept_names(model: TrainConfig) -> list[str]:
    """List what a search space of a model may hold: settings and stand-ins."""
    return [name for name in settings(model.model_name) if name not in _THE_SAME_FOR_ALL]


def _check_space(config: SweepConfig, model: TrainConfig, where: str) -> None:
    known, row = swept_names(model), space.derived(model)
    for name, prior in config.space.items():
        if name in _THE_SAME_FOR_ALL:
            text = f"space.{name} would make trials that can't be compared; leave it out: --set space.{name}=null"
            raise UserError(f"{where}: {text}")
        if name not in known:
            raise UserError(f"{where}: unknown key 'space.{name}'; {nearest(name, known)}")
        priors.check(settings(model.model_name)[name], prior, row.get(name), where)
    for stand_in, decided in model.stand_ins.items():
        if stand_in in config.space and decided in config.space:
            raise UserError(
                f"{where}: space holds both {stand_in} and {decided}; keep one, as with --set space.{stand_in}=null"
            )


def _check_fixed(config: SweepConfig, model: TrainConfig, where: str) -> None:
    for name, value in config.fixed.items():
        _, key = model.split_name(name, f"{where}: fixed")
        if key in config.space:
            raise UserError(
                f"{where}: '{key}' is in both space and fixed; sweep it no more with --set space.{key}=null"
            )
        if key in _DECIDED_ELSEWHERE:
            way = _DECIDED_ELSEWHERE[key].format(value=value)
            raise UserError(f"{where}: fixed.{name} is decided elsewhere; give {way} in its place")
        for stand_in, decided in model.stand_ins.items():
            if key == decided and stand_in in config.space:
                raise UserError(
                    f"{where}: fixed.{name} is decided by space.{stand_in}; fix it with --set space.{stand_in}=null"
                )


def _check_scheduler(scheduler: SchedulerConfig, where: str) -> None:
    rungs = scheduler.rungs
    if any(not 0 < rung < 1 for rung in rungs) or list(rungs) != sorted(set(rungs)):
        text = f"scheduler.rungs must rise within (0, 1), got {list(rungs)}"
        raise UserError(f"{where}: {text}; --set 'scheduler.rungs=[0.3, 0.8]'")
    if not scheduler.own and scheduler.kind not in SCHEDULERS:
        hint = nearest(scheduler.kind, (*SCHEDULERS, "module:Class of your own"))
        raise UserError(f"{where}: scheduler.kind: unknown '{scheduler.kind}'; {hint}")
    if not scheduler.own and scheduler.keywords:
        name = next(iter(scheduler.keywords))
        raise UserError(f"{where}: unknown key 'scheduler.{name}'; {nearest(name, ('kind', 'rungs', 'reduction'))}")


def _check_scoring(config: SweepConfig, where: str) -> None:
    floor, i3d = config.scoring.accuracy_floor, config.scoring.i3d
    if not isinstance(floor, str) and not 0 <= floor <= 1:
        text = f"scoring.accuracy_floor must be 'twice_chance' or from 0 to 1, got {floor:g}"
        raise UserError(f"{where}: {text}; --set scoring.accuracy_floor=0.8")
    if i3d is not None and not os.path.isfile(i3d):
        hint = "give the path of a TorchScript file, or go without: --set scoring.i3d=null"
        raise UserError(f"{where}: scoring.i3d: no file {i3d}; {hint}")


def _check_objectives(config: SweepConfig, where: str) -> None:
    usable = list(config.directions)
    if config.second_objective is not None and any(objective.auto for objective in config.objectives):
        raise UserError(f"{where}: a study of two objectives names both, got 'auto'; {nearest('', usable)}")
    for key, objective in zip(("objective", "second_objective"), config.objectives, strict=False):
        if objective.auto:
            continue
        if objective.metric not in usable:
            raise UserError(f"{where}: unknown metric '{objective.metric}'; {nearest(objective.metric, usable)}")
        right = config.directions[objective.metric]
        if objective.direction != right:
            text = f"direction of {objective.metric} must be {right}, got {objective.direction}"
            raise UserError(f"{where}: {text}; --set {key}.direction={right}")
        if objective.metric == "fvd_i3d" and config.scoring.i3d is None:
            text = "objective fvd_i3d needs scoring.i3d, the path of a TorchScript file; or another metric"
            raise UserError(f"{where}: {text}: --set {key}=frechet_distance")
    if config.second_objective is not None:
        if config.second_objective.metric == config.objective.metric:
            raise UserError(f"{where}: second_objective is the same metric as objective; --set second_objective=null")
        if config.scheduler.kind != "none":
            raise UserError(f"{where}: a study of two objectives can't stop trials early; --set scheduler.kind=none")
