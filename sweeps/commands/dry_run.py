"""What a study will cost, before anything starts."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sweeps.commands.cluster_plan import cluster_rows
from sweeps.commands.hours import hours_rows, speed_of
from sweeps.commands.request import ResolvedRequest
from sweeps.commands.speed import Speed, counted_speed, speed_here
from sweeps.commands.work import work
from sweeps.config.schema import SweepConfig
from sweeps.config.space import grid_size, largest
from sweeps.data import DataPlan
from sweeps.execution.resources import check_share
from sweeps.execution.slots import jobs_a_gpu
from sweeps.objective import candidates_line
from sweeps.scorer import choices_without_training
from sweeps.search.early_stopping import rung_points, score_points
from sweeps.search.samplers import sampler_words
from sweeps.state.retention import SizeBound, size_bound
from sweeps.state.uris import shown_uri
from tsvan.cores import available_cores
from tsvan.data.store import INDEX, ClipStore
from tsvan.interface import implementation
from tsvan.run_config import Schedule
from tsvan.terminal import counted, duration
from tsvan.validation import UserError

_LONG_S = 24 * 3600.0


@dataclass(frozen=True)
class Cost:
    """A rough estimate of a study's cost.

    Args:
        trial_s: one trial, alone.
        sweep_s: calibration and all trials, early stopping not counted.
        final_s: the reruns.
        disk: at most, without the clip store.
        source: how the times are known.
    """

    trial_s: float
    sweep_s: float
    final_s: float
    disk: SizeBound
    source: str = ""

    @property
    def total_s(self) -> float:
        """Return the seconds of sweep and final stage."""
        return self.sweep_s + self.final_s


def estimate(config: SweepConfig, speed: Speed, cuda: bool, num_classes: int, sweep: bool = True) -> Cost:
    """Multiply a study's runs by the speed of this device, one run at a time; early stopping is not counted."""
    found, scores = work(config, speed, num_classes, sweep), len(score_points(config.base.schedule))
    others = found.reruns + found.calibration
    disk = size_bound(largest(config), num_classes, found.trials, others, scores, _at_once(config, cuda))
    return Cost(found.trial_s, found.whole_sweep_s, found.final_s, disk, speed.source)


def plan(request: ResolvedRequest, allow_slow: bool, mlflow: str, optuna: str) -> bool:
    """Print the plan of `--dry-run`, its cost measured on this device unless the study would be refused as too slow.

    Args:
        mlflow: says how the tracking store answers.
        optuna: says where the Optuna study is.

    Returns:
        Whether the study would begin; why not is printed on stderr, a line each.
    """
    problems = [request.data] if isinstance(request.data, str) else []
    with _collected(problems):
        if request.address is None:
            check_share(request.config, torch.cuda.device_count(), "this machine")
    before = len(problems)
    with _collected(problems):
        refuse_slow(request, allow_slow)
    measurable = len(problems) == before and (request.address is None or not request.cuda)
    objective = "the scorer that is there refuses it"
    with _collected(problems):
        objective = _objective(request)
    nodes: list[tuple[str, str]] = []
    with _collected(problems):
        nodes = cluster_rows(request)
    cost = (_measured(request) if measurable else None) or counted_cost(request)
    show(request, cost, mlflow, objective, optuna, nodes)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return not problems


def counted_cost(request: ResolvedRequest) -> Cost:
    """Estimate the cost by counted operations, for a CPU."""
    return _cost(request, counted_speed(request.config, available_cores()))


def _cost(request: ResolvedRequest, speed: Speed) -> Cost:
    classes, sweep = len(request.config.rules.classes), request.chosen is None
    return estimate(request.config, speed, request.cuda, classes, sweep)


@contextmanager
def _collected(problems: list[str]) -> Iterator[None]:
    """Collect the line of a UserError in place of raising it."""
    try:
        yield
    except UserError as error:
        problems.append(str(error))


def _measured(request: ResolvedRequest) -> Cost | None:
    """Measure the cost; None: it can't be, as the largest setting does not fit or no clips can be drawn."""
    plan = request.hours  # for which it was measured
    speed = speed_here(request.config, request.data) if plan is None else speed_of(plan)
    return None if speed is None else _cost(request, speed)


def refuse_slow(request: ResolvedRequest, allowed: bool) -> None:
    """Refuse a paper's budget on a CPU, as it is a mistake unless it is meant.

    Raises:
        UserError: says how long it would take.
    """
    config, cost = request.config, counted_cost(request)
    if request.cuda or allowed or request.hours is not None or cost.total_s < _LONG_S:
        return
    what = f"{config.trials} trials" if cost.sweep_s else "the final runs"
    raise UserError(
        f"no GPU here, and this study ({what} of {config.base.schedule.total:,} iterations) would take "
        f"about {_long(cost.total_s)} on this CPU; use --preset smoke, a GPU, or --allow-slow"
    )


def show(
    request: ResolvedRequest, cost: Cost, mlflow: str, objective: str, optuna: str, nodes: list[tuple[str, str]]
) -> None:
    """Print the plan (`--dry-run`), one line a row; last the nodes of a cluster."""
    rows = _rows(request, cost, mlflow, objective, optuna) + nodes
    width = max(len(name) for name, _ in rows)
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for name, value in rows:
        line = f"{name:<{width}}  {value}"
        print(_wrapped(line, columns, width + 2) if columns else line)
    for line in request.kept:
        print(line)


def _wrapped(line: str, columns: int, indent: int) -> str:
    """Wrap a row; paths and commands stay whole, so that they can be copied."""
    return textwrap.fill(line, columns, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def _objective(request: ResolvedRequest) -> str:
    """Say what the study is judged by, as far as that is known without training.

    Raises:
        UserError: the scorer is there already, and the study could not begin with it.
    """
    config, data = request.config, request.data
    if isinstance(data, DataPlan) and data.store is not None and (data.store / INDEX).exists():
        store = ClipStore.open(data.store, config.rules)
        choices = choices_without_training(config, store, request.paths, request.terms)
        if choices is not None:
            weak = [f"weak: {choice.weak}" for choice in choices if choice.weak]
            return "; ".join([*(choice.why for choice in choices), *weak])
    named = [f"{objective.metric} ({objective.direction})" for objective in config.objectives if not objective.auto]
    return ", ".join(named) or candidates_line(config.rules.objectives)


def _rows(request: ResolvedRequest, cost: Cost, mlflow: str, objective: str, optuna: str) -> list[tuple[str, str]]:
    config, paths, chosen = request.config, request.paths, request.chosen
    data = f"MISSING: {request.data}" if isinstance(request.data, str) else _data(request.data)
    base = config.base
    n = base.schedule.iterations
    rungs = rung_points(base.schedule, config.scheduler)
    stopping = f"{config.scheduler.kind} at {', '.join(f'{rung:,}' for rung in rungs)}" if rungs else "none"
    if config.scheduler.own:
        stopping = f"{config.scheduler.kind} at every score"
    confirm = config.final.confirm
    every = max(n // 10, 1)
    classes = len(config.rules.classes)
    scored = counted(config.num_clips("validation", classes), "clip")
    clips = f"{counted(config.num_clips('report', classes), 'clip')} a run"
    calibrate = counted(config.calibrate.seeds, "seed") + " of the published row" if config.calibrate.seeds else "no"
    sweep = [
        ("  calibrate", calibrate),
        ("3 sweep", f"{config.trials} trials x {base.schedule.total:,} iterations, batch {base.optimiser.batch_size}"),
        ("  space", grid_size(config)),
        ("  objective", objective),
        *_warm(request),
        ("  sampler", sampler_words(config.sampler)),
        ("  stopping", stopping),
        ("  scores", f"every {counted(every, 'iteration')}, {scored}"),
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
        ("4 final", f"{counted(config.final.report.seeds, 'seed')} for the winner and for the published row, {clips}"),
        ("  confirm", f"best {confirm.top_k}, {counted(confirm.seeds, 'seed')}" if _confirms(request) else "no"),
        ("5 report", f"{paths.page} (from the first score on), {paths.report}, {paths.summary}"),
        ("optuna", optuna),
        ("tracking", f"{shown_uri(request.where.uri)}: {mlflow}"),
        ("device", "GPU" if request.cuda else "CPU"),
        ("time", f"{time}{_long(cost.final_s)} of final, one run at a time"),
        ("  by", cost.source),
        *hours_rows(request),
        *_disk(cost.disk),
    ]


def _warm(request: ResolvedRequest) -> list[tuple[str, str]]:
    known = [f"{study.folder} ({counted(len(study.trials), 'complete trial')})" for study in request.earlier]
    text = "its trials as observations where clips, scorer and budget are the same, else its best settings first"
    return [("  warm start", f"{', '.join(known)}: {text}")] if known else []


def _confirms(request: ResolvedRequest) -> bool:
    return request.chosen is None and request.config.final.confirm.top_k > 1


def _long(seconds: float) -> str:
    years = seconds / (365 * 86400)
    return duration(seconds) if years <= 2 else f"{years:.0f} years"


def _data(plan: DataPlan) -> str:
    if plan.kind == "synthetic":
        state = "there" if plan.store is not None and plan.store.exists() else "missing: would be drawn"
        return f"stand-in clips in {plan.store} ({state})"
    return f"clip store {plan.store}" if plan.kind == "store" else f"raw videos in {plan.source}, to a clip store"


def _at_once(config: SweepConfig, cuda: bool) -> int:
    """Return how many runs go at the same time, at most; of a cluster not joined yet, those that were asked for."""
    asked = config.resources
    if asked.workers is not None or not cuda:
        return asked.workers or 1
    gpus = max(torch.cuda.device_count(), 1)
    if not isinstance(asked.gpus_per_trial, str) and asked.gpus_per_trial > 0:
        return gpus * jobs_a_gpu(asked.gpus_per_trial)
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
        f"{counted(disk.runs, 'ended run')} x {disk.networks / gib:.2f} GiB (networks alone), {disk.at_once} at a time "
        f"x {disk.running / gib:.2f} GiB (checkpoints with optimisers), {disk.records / gib:.1f} GiB of samples, "
        f"metrics and MLflow's copies"
    )
    most = f"at most {disk.total / gib:.1f} GiB and {disk.files:,} files, and the clip store"
    return [("disk", most), ("  of it", parts)]
