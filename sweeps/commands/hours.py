"""`--hours`: how many trials, iterations and final runs fit into the hours that somebody has, by times measured here.

What is worth most comes first (docs/search.md): 32 trials with the best four confirmed; then trials of the preset's own
length; then more trials, up to 64. Where trials would become shorter than a fifth of the preset's, there are fewer of
them, and fewer final runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch

from sweeps.commands.request import Request, ResolvedRequest, resolve
from sweeps.commands.speed import Speed, speed_here
from sweeps.commands.work import Work, at_length, work
from sweeps.config.load import asked_keys, load
from sweeps.config.schema import SweepConfig
from sweeps.state.hours import PlannedHours
from tsvan.terminal import counted, duration
from tsvan.validation import UserError

SHORTEST = 0.2
"""Share of the preset's iterations below which trials are made fewer before they are made shorter."""
PLANNED = 0.9
"""Share of the hours that is planned; the rest is for the scorer, starts, scoring and the report."""
MOST_TRIALS = 64
"""More trials than that gain nothing in the simulation."""


@dataclass(frozen=True)
class Size:
    """Trials and final runs of a study; a `top_k` of 1 is no confirm stage."""

    trials: int
    top_k: int
    confirm_seeds: int
    report_seeds: int


SIZES = tuple(
    Size(*numbers)
    for numbers in ((32, 4, 3, 5), (24, 3, 3, 5), (16, 2, 3, 5), (16, 1, 3, 5), (12, 1, 3, 3), (8, 1, 3, 2))
)
"""From what is best to what is the least; fewer than 16 trials are hardly a search."""
_FEWEST_ITERATIONS = 10


def resolve_hours(asked: Request) -> ResolvedRequest:
    """Resolve a command line; where it gives hours, with the study that is planned for them.

    A study that goes on keeps the plan that it began with; with other hours it keeps the length of its trials.

    Raises:
        UserError: as `resolve`; or the hours are too few, or can't be planned here.
    """
    request = resolve(asked)
    if asked.hours is None:
        return request
    _check(asked)
    named, known = set(asked_keys(asked.overrides, None)), PlannedHours.read(request.paths)
    if request.record is None or known is None or known.hours != asked.hours:
        if request.record is not None:
            named |= {"budget.iterations", "budget.pretrain_iterations"}  # its trials would not be comparable
        known = plan_hours(request.config, _speed(request, known), asked.hours, named, _at_once())
    planned = resolve(replace(asked, overrides=[*asked.overrides, *_overrides(known, named)]))
    words = asked.dataset, asked.preset, asked.overrides, asked.config_file, asked.model
    return replace(planned, hours=known, longest=load(*words)[0].budget)


def plan_hours(config: SweepConfig, speed: Speed, hours: float, named: Iterable[str], at_once: int) -> PlannedHours:
    """Plan a study for so many hours.

    Args:
        config: that the study would have without them; its iterations are the most that a trial gets.
        speed: of runs of that length on one device.
        named: keys that the user set; they stay.
        at_once: devices, each of which takes runs by itself.

    Raises:
        UserError: not even the least study fits.
    """
    chosen = _chosen(config, speed, hours, set(named), at_once)
    if chosen is None:
        least = _sized(config, SIZES[-1], set(named), _FEWEST_ITERATIONS)
        needed_s = _seconds(_work(least, speed, config)) / at_once / PLANNED
        what = f"{counted(least.trials, 'trial')} of {counted(least.budget.iterations, 'iteration')}"
        raise UserError(
            f"--hours {hours:g} is too little: {what} with final runs take about {duration(needed_s)} here; "
            f"use --hours {_rounded_up(needed_s / 3600):g}"
        )
    fast, found, confirm = at_length(speed, config, chosen), _work(chosen, speed, config), chosen.final.confirm
    return PlannedHours(
        hours=hours,
        trials=chosen.trials,
        iterations=chosen.budget.iterations,
        pretrain_iterations=chosen.budget.pretrain_iterations,
        top_k=confirm.top_k,
        confirm_seeds=confirm.seeds,
        report_seeds=chosen.final.report.seeds,
        published_s=fast.published_s,
        largest_s=fast.largest_s,
        clip_s=fast.clip_s,
        source=fast.source,
        trial_s=found.trial_s,
        final_s=found.final_s,
        reruns=found.reruns,
        rerun_s=found.rerun_s,
    )


def hours_rows(request: ResolvedRequest) -> list[tuple[str, str]]:
    """Say what was chosen for the hours and what more would buy, as rows of the plan."""
    plan = request.hours
    if plan is None or plan.hours is None:
        return []
    config, at_once = request.config, _at_once()
    speed = speed_of(plan)
    found, longest = work(config, speed, len(config.rules.classes)), _preset(request)
    rows = [("hours", f"{plan.hours:g}: {_said(config, found, longest, at_once)}")]
    if config.trials < 16:
        rows.append(("  take care", f"{counted(config.trials, 'trial')} are hardly a search, 16 are the least"))
    fast = at_length(speed, config, longest)
    twice = _chosen(longest, fast, 2 * plan.hours, set(), at_once)
    if twice is not None and (twice.trials, twice.base.schedule.total) != (config.trials, config.base.schedule.total):
        rows.append((f"  {2 * plan.hours:g} hours", _said(twice, _work(twice, fast, longest), longest, at_once)))
    if config.budget.iterations < longest.budget.iterations:
        whole = _sized(longest, SIZES[0], set(), longest.budget.iterations)
        rows.append(("  the preset", _said(whole, _work(whole, fast, longest), longest, at_once)))
    return rows


def speed_of(plan: PlannedHours) -> Speed:
    """Return the speed that a plan was made by, of runs of its own length."""
    return Speed(plan.published_s, plan.largest_s, plan.clip_s, plan.source)


def _check(asked: Request) -> None:
    assert asked.hours is not None
    if asked.final_from is not None:
        raise UserError("--hours plans a sweep, and --final-from has none; leave one of them out")
    if asked.address is not None:
        raise UserError("--hours measures this machine, not the cluster of --address; give --trials and --set "
                        "budget.iterations=N in its place")  # fmt: skip


def _speed(request: ResolvedRequest, known: PlannedHours | None) -> Speed:
    """Measure the speed of runs as they are now; that of a study which was planned before is known."""
    if known is not None and request.record is not None:
        return speed_of(known)
    found = speed_here(request.config, request.data)
    if found is None:
        raise UserError("--hours could not measure: the largest setting of the space does not fit this device, or "
                        "there are no clips; see --dry-run without --hours")  # fmt: skip
    return found


def _chosen(config: SweepConfig, speed: Speed, hours: float, named: set[str], at_once: int) -> SweepConfig | None:
    """Choose a study for the hours; None: not even the least fits."""
    limit_s = hours * 3600 * PLANNED * at_once
    last = None
    for size in SIZES:
        found = _longest(config, speed, limit_s, size, named)
        if found is not None and found.budget.iterations >= SHORTEST * config.budget.iterations:
            return _with_more_trials(found, config, speed, limit_s, named)
        last = found or last
    return last


def _longest(config: SweepConfig, speed: Speed, limit_s: float, size: Size, named: set[str]) -> SweepConfig | None:
    """Find the longest trials with which a size fits, at most the preset's; None: there are none."""
    fewest = config.budget.iterations if "budget.iterations" in named else _FEWEST_ITERATIONS
    low, high, fits = fewest, config.budget.iterations, None
    while low <= high:
        middle = (low + high + 1) // 2
        tried = _sized(config, size, named, _round(middle) if middle < config.budget.iterations else middle)
        if _seconds(_work(tried, speed, config)) <= limit_s:
            fits, low = tried, middle + 1
        else:
            high = middle - 1
    return fits


def _with_more_trials(
    found: SweepConfig, config: SweepConfig, speed: Speed, limit_s: float, named: set[str]
) -> SweepConfig:
    """Add trials of the preset's own length as long as they fit."""
    whole = found.budget.iterations >= config.budget.iterations
    while whole and "trials" not in named and found.trials < MOST_TRIALS:
        more = replace(found, trials=found.trials + 1)
        if _seconds(_work(more, speed, config)) > limit_s:
            break
        found = more
    return found


def _sized(config: SweepConfig, size: Size, named: set[str], iterations: int) -> SweepConfig:
    """Return the config with a size and a length, but for what the user set."""

    def chosen(key: str, new: int, own: int) -> int:
        return own if key in named else new

    budget, final = config.budget, config.final
    length = chosen("budget.iterations", iterations, budget.iterations)
    pretrain = budget.pretrain_iterations
    if pretrain is not None and "budget.pretrain_iterations" not in named:
        pretrain = round(pretrain * length / budget.iterations)
    confirm = replace(
        final.confirm,
        top_k=chosen("final.confirm.top_k", size.top_k, final.confirm.top_k),
        seeds=chosen("final.confirm.seeds", size.confirm_seeds, final.confirm.seeds),
    )
    report = replace(final.report, seeds=chosen("final.report.seeds", size.report_seeds, final.report.seeds))
    return replace(
        config,
        trials=chosen("trials", size.trials, config.trials),
        budget=replace(budget, iterations=length, pretrain_iterations=pretrain),
        final=replace(final, report=report, confirm=confirm),
    )


def _work(config: SweepConfig, speed: Speed, measured: SweepConfig) -> Work:
    return work(config, at_length(speed, measured, config), len(config.rules.classes))


def _seconds(found: Work) -> float:
    return found.sweep_s + found.final_s


def _overrides(plan: PlannedHours, named: set[str]) -> list[str]:
    """Return a plan as `--set` would give it, but for what the user set."""
    values = {
        "trials": plan.trials,
        "budget.iterations": plan.iterations,
        "budget.pretrain_iterations": plan.pretrain_iterations,
        "final.confirm.top_k": plan.top_k,
        "final.confirm.seeds": plan.confirm_seeds,
        "final.report.seeds": plan.report_seeds,
    }
    chosen = {key: value for key, value in values.items() if key not in named}
    return [f"{key}={value}" for key, value in chosen.items() if value is not None]


def _preset(request: ResolvedRequest) -> SweepConfig:
    """Return the study's config at the length that its preset has."""
    assert request.longest is not None
    return replace(request.config, budget=request.longest)


def _said(config: SweepConfig, found: Work, longest: SweepConfig, at_once: int) -> str:
    """Say a study in a line: its trials, their length, the final stage, and how long it takes."""
    length, most, final = config.budget.iterations, longest.budget.iterations, config.final
    share = "" if length == most else f" ({100 * length / most:.2g}% of the preset's {most:,})"
    confirm = final.confirm
    confirmed = f"best {confirm.top_k} confirmed with {counted(confirm.seeds, 'seed')}" if confirm.top_k > 1 else ""
    parts = [
        f"{counted(config.trials, 'trial')} of {length:,} iterations{share}",
        confirmed or "no confirming",
        f"{counted(final.report.seeds, 'seed')} in the end",
    ]
    return f"{', '.join(parts)}: about {duration(_seconds(found) / at_once)}"


def _at_once() -> int:
    """Return how many devices take runs by themselves: GPUs, or the cores of this machine together."""
    return max(torch.cuda.device_count(), 1)


def _round(iterations: int) -> int:
    """Round down to three digits, as nobody needs more of a length."""
    unit = int(10 ** max(len(str(iterations)) - 3, 0))
    return iterations // unit * unit


def _rounded_up(hours: float) -> float:
    return float(f"{hours * 1.05:.1g}") if float(f"{hours * 1.05:.1g}") >= hours else float(f"{hours * 1.2:.2g}")
