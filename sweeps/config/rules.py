"""Rules between the keys of a sweep config, which no single field can check."""

from __future__ import annotations

import os

from sweeps.config import space
from sweeps.config.schema import Prior, SweepConfig
from tsvan.run_config import TrainConfig
from tsvan.scoring.metrics import METRICS
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
    for name, prior in config.space.items():
        _check_prior(name, prior, model, where)
    for name in config.fixed:
        _, key = model.split_name(name, f"{where}: fixed")
        if key in config.space:
            raise UserError(
                f"{where}: '{key}' is in both space and fixed; keep one, as in --set 'space.{key}.values=[1]'"
            )
        if key in _DECIDED_ELSEWHERE:
            raise UserError(f"{where}: fixed.{name} is decided by {_DECIDED_ELSEWHERE[key]}; set that")
        for stand_in, decided in model.stand_ins.items():
            if key == decided and stand_in in config.space:
                raise UserError(f"{where}: fixed.{name} is decided by space.{stand_in}; sweep {decided} in its place")
    for stand_in, decided in model.stand_ins.items():
        if stand_in in config.space and decided in config.space:
            raise UserError(f"{where}: space holds both {stand_in} and {decided}; keep one")
    _check_objectives(config, where)
    rungs = config.scheduler.rungs
    if any(not 0 < rung < 1 for rung in rungs) or list(rungs) != sorted(set(rungs)):
        raise UserError(
            f"{where}: scheduler.rungs must rise within (0, 1), got {list(rungs)}; the defaults are [0.3, 0.8]"
        )
    share = config.resources.gpus_per_trial
    if not isinstance(share, str) and (share < 0 or (share > 1 and share != int(share))):
        text = "must be 'auto' or >= 0, and above 1 a whole number"
        raise UserError(f"{where}: resources.gpus_per_trial {text}, got {share:g}")
    _check_scoring(config, where)
    if config.calibrate.seeds == 1:
        raise UserError(f"{where}: calibrate.seeds must be 0 or 2 and more, got 1; one seed shows no noise")
    try:
        _ = config.base, config.scorer
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    space.check(config, where)
    return config


_DECIDED_ELSEWHERE = {
    "dataset": "--dataset",
    "seed": "seed (the study's)",
    "iterations": "budget.iterations",
    "pretrain_iterations": "budget.pretrain_iterations",
    "batch_size": "budget.batch_size",
}


def _check_scoring(config: SweepConfig, where: str) -> None:
    floor, i3d = config.scoring.accuracy_floor, config.scoring.i3d
    if not isinstance(floor, str) and not 0 <= floor <= 1:
        raise UserError(f"{where}: scoring.accuracy_floor must be 'twice_chance' or from 0 to 1, got {floor:g}")
    if i3d is not None and not os.path.isfile(i3d):
        raise UserError(f"{where}: scoring.i3d: no file {i3d}; give the path of a TorchScript file")


def _check_prior(name: str, prior: Prior, row: TrainConfig, where: str) -> None:
    known = [*row.setting_names(), *row.stand_ins]
    if name not in known or name in _DECIDED_ELSEWHERE:
        raise UserError(f"{where}: unknown key 'space.{name}'; {nearest(name, set(known) - set(_DECIDED_ELSEWHERE))}")
    if prior.values is not None:
        if prior.low is not None or prior.high is not None or prior.log:
            raise UserError(f"{where}: space.{name} has values and a range; give values, or low and high")
        if not prior.values or len(set(prior.values)) < len(prior.values):
            raise UserError(f"{where}: {name}.values must be different and not empty, got {list(prior.values)}")
        return
    if prior.low is None or prior.high is None:
        raise UserError(f"{where}: space.{name} needs values, or low and high")
    usual = space.derived(row)[name]
    if not isinstance(usual, float):
        raise UserError(f"{where}: space.{name} is no range of real numbers; list its values, as in values: [{usual}]")
    if prior.low > prior.high:
        got = f"got low={prior.low:g}, high={prior.high:g}"
        raise UserError(f"{name}.low must be <= {name}.high, {got} in {where}")
    if prior.log and prior.low <= 0:
        raise UserError(f"{where}: {name}.low must be > 0 with log, got low={prior.low:g}")


def _check_objectives(config: SweepConfig, where: str) -> None:
    usable = list(METRICS)
    if config.second_objective is not None and any(objective.auto for objective in config.objectives):
        raise UserError(f"{where}: a study of two objectives names both, got 'auto'; {nearest('', usable)}")
    for objective in config.objectives:
        if objective.auto:
            continue
        if objective.metric not in usable:
            raise UserError(f"{where}: unknown metric '{objective.metric}'; {nearest(objective.metric, usable)}")
        right = METRICS[objective.metric].direction
        if objective.direction != right:
            text = (
                f"direction of {objective.metric} must be {right}, got {objective.direction}; set objective.direction"
            )
            raise UserError(f"{where}: {text}")
        if objective.metric == "fvd_i3d" and config.scoring.i3d is None:
            raise UserError(f"{where}: objective fvd_i3d needs scoring.i3d, the path of a TorchScript file")
    if config.second_objective is not None:
        if config.second_objective.metric == config.objective.metric:
            raise UserError(f"{where}: second_objective is the same metric as objective; name another or leave it out")
        if config.scheduler.kind != "none":
            raise UserError(f"{where}: a study of two objectives can't stop trials early; set scheduler.kind=none")
