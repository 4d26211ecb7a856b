"""The nodes of somebody's cluster as a study uses them: checked, divided into slots, and watched."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from sweeps.config.schema import SweepConfig
from sweeps.execution import ray_environment
from sweeps.execution.gpu_share import fitting_share, measure, peak_bytes
from sweeps.execution.node_check import CheckPlan
from sweeps.execution.slots import Placement, Slots, slots_of, spread
from sweeps.state.paths import StudyPaths
from sweeps.state.versions import source_digest, versions
from tsvan.files import write_atomically
from tsvan.state_file import MADE_AGAIN, read_state
from tsvan.validation import UserError, first_line

ray_environment.prepare(joins=True)

from sweeps.execution.roster import Member, Roster, check, members, shown  # noqa: E402

import ray  # isort: skip  # noqa: E402
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # isort: skip  # noqa: E402

_TRIED_SHARE = 0.01
_CHECK_S = 120.0


def check_plan(paths: StudyPaths, store: str, store_hash: str, *, marked: bool = True) -> CheckPlan:
    """Plan what nodes are asked; a marker is written into the study's folder first, unless it is a dry run."""
    text = uuid.uuid4().hex
    if marked:
        write_atomically(paths.marker, text)
    marker = str(paths.marker) if marked else ""
    return CheckPlan(str(paths.root), marker, text, store, store_hash, versions(), source_digest(), gpu=False)


def study_placement(
    config: SweepConfig, paths: StudyPaths, plan: CheckPlan, say: Callable[[str], None], stack: ExitStack
) -> Placement:
    """Check the nodes that are there, place jobs on those that pass, and go on looking while the stack lasts.

    Raises:
        UserError: no node can be used.
    """
    placement = Placement(config.resources.workers)
    found = checked_nodes(config, plan)
    share = shares(config, paths, found, dry=False)
    ask = _tried(config)
    roster = Roster(placement, lambda new: check(new, plan, ask, _CHECK_S), divided(config, found, share), say)
    roster.adopt(found)
    if not placement.workers:
        raise UserError(nothing_left(found))
    roster.start()
    stack.callback(lambda: paths.marker.unlink(missing_ok=True))
    stack.callback(roster.close)
    return placement


def checked_nodes(config: SweepConfig, plan: CheckPlan) -> list[Member]:
    """Return the nodes that are there, each with its report."""
    return check(list(members().values()), plan, _tried(config), _CHECK_S)


def shares(config: SweepConfig, paths: StudyPaths, found: list[Member], *, dry: bool) -> Callable[[Member], float]:
    """Return what tells a node's GPU share of a trial; `auto` is measured on a GPU of the cluster, unless dry."""
    asked = config.resources.gpus_per_trial
    usable = [member for member in found if member.report is not None and not member.report.problem]
    with_gpu = [member for member in usable if member.gpus >= 1]
    if not isinstance(asked, str):
        return lambda member: asked
    if not with_gpu:
        return lambda member: 0.0
    known = read_state(paths.memory, dict[str, int], MADE_AGAIN)
    if known is None and dry:
        return lambda member: 1.0
    peak = peak_bytes(paths, lambda: _measured_there(config, paths, with_gpu[0]))
    return lambda member: fitting_share(peak, member.report.gpu_bytes) if member.report is not None else 1.0


def divided(config: SweepConfig, found: list[Member], share: Callable[[Member], float]) -> Callable[[Member], Slots]:
    """Return what tells a node's slots. `--workers` is spread evenly over the nodes that are there at the start."""
    asked = config.resources

    def whole(member: Member, most: int | None = None) -> Slots:
        return slots_of(member.cpus, member.gpus, share(member), asked.cpus_per_trial, most)

    if asked.workers is None:
        return whole
    usable = [member for member in found if member.report is not None and not member.report.problem]
    capacity = {member.node: whole(member, asked.workers).workers for member in usable}
    given: Mapping[str, int] = spread(asked.workers, capacity)
    later = max(given.values(), default=asked.workers) or 1
    return lambda member: whole(member, given.get(member.node, later))


def planned_nodes(config: SweepConfig, paths: StudyPaths, store: str, store_hash: str) -> list[tuple[str, str]]:
    """Say of each node what a study would do there, as a dry run: node, and its slots or why it would not be used.

    Raises:
        UserError: no node could be used.
    """
    found = checked_nodes(config, check_plan(paths, store, store_hash, marked=False))
    slots = divided(config, found, shares(config, paths, found, dry=True))
    if not any(slots(member).workers for member in found if member.report is not None and not member.report.problem):
        raise UserError(nothing_left(found))
    measured = "" if config.resources.gpus_per_trial != "auto" else " (auto: measured when the study begins)"
    return [
        (
            str(member),
            f"not used: {member.report.problem}"
            if member.report is not None and member.report.problem
            else shown(slots(member)) + (measured if member.gpus else ""),
        )
        for member in found
    ]


def nothing_left(found: list[Member]) -> str:
    """Say why no node of a cluster can be used."""
    reasons = [f"{member}: {member.report.problem}" for member in found if member.report and member.report.problem]
    if not reasons:
        return "the Ray cluster's nodes have no cores or GPUs for a trial; use less per trial, or other nodes"
    more = f" (and {len(reasons) - 1} more, above)" if len(reasons) > 1 else ""
    return f"no node of the Ray cluster can be used{more}; {reasons[0]}"


def _tried(config: SweepConfig) -> float:
    """Return the share of a GPU that a node's check tries."""
    asked = config.resources.gpus_per_trial
    return _TRIED_SHARE if isinstance(asked, str) else asked


def _measured_there(config: SweepConfig, paths: StudyPaths, member: Member) -> int:
    """Measure a trial's peak of memory on a GPU of a node."""
    there = NodeAffinitySchedulingStrategy(member.node, soft=False)
    task = ray.remote(num_cpus=1, num_gpus=1, max_retries=0, max_calls=1)(measure)
    try:
        return int(ray.get(task.options(scheduling_strategy=there).remote(config, paths)))
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        raise UserError(
            f"a trial's GPU memory can't be measured on {member} ({first_line(cause)}); "
            f"give --gpus-per-trial, as --gpus-per-trial 1"
        ) from None
