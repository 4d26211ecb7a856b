"""What a study will cost, before anything starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sweeps.commands.request import ResolvedRequest
from sweeps.config.schema import SweepConfig
from sweeps.config.space import grid_size, largest
from sweeps.data import DataPlan
from sweeps.search.early_stopping import rung_points, score_points
from sweeps.state.retention import SizeBound, size_bound
from sweeps.state.uris import shown_uri
from tsvan.cost import train_gflop
from tsvan.interface import implementation
from tsvan.run_config import Schedule
from tsvan.terminal import duration
from tsvan.validation import UserError

_SAMPLE = 12.0  # GFLOP of a generated clip
_SPEED = {"cpu": 35.0, "cuda": 8_000.0}  # GFLOP/s: of a core, of a GPU as far as these small layers fill it
_LONG_S = 24 * 3600.0


@dataclass(frozen=True)
class Cost:
    """A rough estimate.

    Args:
        trial_s: one trial, alone.
        sweep_s: calibration and all trials, early stopping not counted.
        final_s: the reruns.
        disk: at most, without the clip store.
    """

    trial_s: float
    sweep_s: float
    final_s: float
    disk: SizeBound

    @property
    def total_s(self) -> float:
        """Sweep and final stage."""
        return self.sweep_s + self.final_s


def estimate(config: SweepConfig, cuda: bool, cpus: int, num_classes: int, sweep: bool = True) -> Cost:
    """Orders of magnitude from counted operations; the table of a running study shows measured times."""
    speed = _SPEED["cuda"] if cuda else _SPEED["cpu"] * cpus
    base, wide = config.base, largest(config)
    train = train_gflop(base) * 0.5 + train_gflop(wide) * 0.5
    sample = _SAMPLE * config.num_clips("validation", num_classes) * len(score_points(base.schedule))
    trial_s = (train + sample) / speed
    reruns = config.final.report.seeds * 2
    rerun_s = (train + _SAMPLE * config.num_clips("report", num_classes)) / speed
    calibration = config.calibrate.seeds if sweep else 0
    if sweep and config.final.confirm.top_k > 1:
        reruns += config.final.confirm.seeds * (config.final.confirm.top_k + 1)
    trials = config.trials if sweep else 0
    scores = len(score_points(base.schedule))
    disk = size_bound(wide, num_classes, trials, reruns + calibration, scores, _at_once(config, cuda))
    return Cost(trial_s, trial_s * (trials + calibration), rerun_s * reruns, disk)


def refuse_slow(config: SweepConfig, cost: Cost, cuda: bool, allowed: bool) -> None:
    """A paper's budget on a CPU is a mistake unless it is meant.

    Raises:
        UserError: says how long it would take.
    """
    if cuda or allowed or cost.total_s < _LONG_S:
        return
    what = f"{config.trials} trials" if cost.sweep_s else "the final runs"
    raise UserError(
        f"no GPU here, and this study ({what} of {config.base.schedule.total:,} iterations) would take "
        f"about {_long(cost.total_s)} on this CPU; use --preset smoke, a GPU, or --allow-slow"
    )


def show(request: ResolvedRequest, cost: Cost, mlflow: str) -> None:
    """Print the plan (`--dry-run`), one line a row."""
    rows = _rows(request, cost, mlflow)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    for line in request.kept:
        print(line)


def _rows(request: ResolvedRequest, cost: Cost, mlflow: str) -> list[tuple[str, str]]:
    config, paths, chosen = request.config, request.paths, request.chosen
    data = request.data if isinstance(request.data, str) else _data(request.data)
    base = config.base
    n = base.schedule.iterations
    rungs = rung_points(base.schedule, config.scheduler)
    objectives = ", ".join(f"{objective.metric} ({objective.direction})" for objective in config.objectives)
    stopping = f"{config.scheduler.kind} at {', '.join(f'{rung:,}' for rung in rungs)}" if rungs else "none"
    confirm = config.final.confirm
    every = max(n // 10, 1)
    calibrate = _many(config.calibrate.seeds, "seed") + " of the published row" if config.calibrate.seeds else "no"
    sweep = [
        ("  calibrate", calibrate),
        ("3 sweep", f"{config.trials} trials x {base.schedule.total:,} iterations, batch {base.optimiser.batch_size}"),
        ("  space", grid_size(config)),
        ("  objective", objectives),
        ("  sampler", config.sampler.kind),
        ("  stopping", stopping),
        ("  scores", f"every {_many(every, 'iteration')}, {config.scoring.validation_clips or 'default'} clips"),
    ]
    time = f"roughly {_long(cost.sweep_s)} of sweep and " if chosen is None else "roughly "
    return [
        ("model", config.published.title),
        ("config", f"{request.file}, preset {config.preset}, seed {config.seed}"),
        ("study", f"{paths.root} ({'exists: would go on' if paths.config.exists() else 'new'})"),
        ("1 prepare", data),
        ("2 scorer", f"trained once for the clip store, accuracy floor {config.scoring.accuracy_floor}"),
        *(sweep if chosen is None else [("3 sweep", f"skipped: the config is from {chosen.origin}")]),
        ("  schedule", _schedule(base.schedule)),
        ("4 final", f"{_many(config.final.report.seeds, 'seed')} for the winner and for the published row"),
        ("  confirm", f"best {confirm.top_k}, {_many(confirm.seeds, 'seed')}" if _confirms(request) else "no"),
        ("5 report", f"{paths.report}, {paths.summary}"),
        ("tracking", f"{shown_uri(request.where.uri)}: {mlflow}"),
        ("device", "GPU" if request.cuda else "CPU"),
        ("time", f"{time}{_long(cost.final_s)} of final, one at a time"),
        *_disk(cost.disk),
    ]


def _confirms(request: ResolvedRequest) -> bool:
    return request.chosen is None and request.config.final.confirm.top_k > 1


def _long(seconds: float) -> str:
    years = seconds / (365 * 86400)
    return duration(seconds) if years <= 2 else f"{years:.0f} years"


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _data(plan: DataPlan) -> str:
    if plan.kind == "synthetic":
        state = "there" if plan.store is not None and plan.store.exists() else "missing: would be drawn"
        return f"stand-in clips in {plan.store} ({state})"
    return f"clip store {plan.store}" if plan.kind == "store" else f"raw videos in {plan.source}, to a clip store"


def _at_once(config: SweepConfig, cuda: bool) -> int:
    """Runs at the same time, at most; of a cluster that is not joined yet, those that were asked for."""
    asked = config.resources
    if asked.workers is not None or not cuda:
        return asked.workers or 1
    gpus = max(torch.cuda.device_count(), 1)
    if not isinstance(asked.gpus_per_trial, str) and asked.gpus_per_trial > 0:
        return max(1, int(gpus / asked.gpus_per_trial))
    if torch.cuda.device_count() == 0:
        return 1
    with torch.device("meta"):
        wide = implementation(config.model).networks(largest(config), 1)
        weights = sum(p.numel() * p.element_size() for p in wide.parameters())
    # Weights, gradients and two moments each; what a step computes comes on top, so that fewer fit.
    return gpus * max(1, int(torch.cuda.get_device_properties(0).total_memory // (4 * weights)))


def _schedule(schedule: Schedule) -> str:
    p, n = schedule.pretrain_iterations, schedule.iterations
    parts = [f"pre-training 1..{p:,}"] if p else []
    parts += [f"ramps from {p + round(a * n):,} to {p + round(b * n):,}" for a, b in schedule.knots.values()]
    return f"{'; '.join(parts) or 'nothing ramps in the run'} of {schedule.total:,}"


def _disk(disk: SizeBound) -> list[tuple[str, str]]:
    gib = 2**30
    parts = (
        f"{_many(disk.runs, 'ended run')} x {disk.networks / gib:.2f} GiB (networks alone), {disk.at_once} at a time "
        f"x {disk.running / gib:.2f} GiB (checkpoints with optimisers), {disk.records / gib:.1f} GiB of samples, "
        f"metrics and MLflow's copies"
    )
    return [("disk", f"at most {disk.total / gib:.1f} GiB, and the clip store"), ("  of it", parts)]
