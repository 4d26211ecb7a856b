"""What the command line asks for, understood and checked before anything is started or written."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from sweeps.config.load import asked_keys, load
from sweeps.config.same_study import continued
from sweeps.config.schema import BudgetConfig, SweepConfig
from sweeps.data import DataPlan, found_classes, locate, moved_store
from sweeps.execution.resources import check_share
from sweeps.final import candidates
from sweeps.final.rival import Rival, check_fair, read_rival
from sweeps.scorer import Terms
from sweeps.search.earlier_studies import EarlierStudy, read_earlier
from sweeps.search.early_stopping import stopping_rule
from sweeps.search.samplers import check_sampler
from sweeps.search.shared_database import storage_address
from sweeps.state.hours import PlannedHours
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord, check_out, read_record
from sweeps.state.uris import shown_command
from sweeps.tracking.destination import Destination, destination
from tsvan.data.datasets import DatasetRules
from tsvan.data.store import ClipStore
from tsvan.run_config import FIRST_MODEL
from tsvan.validation import UserError


@dataclass(frozen=True)
class Request:
    """A command line, as it was given."""

    dataset: str | DatasetRules
    preset: str = "paper"
    model: str = FIRST_MODEL
    config_file: Path | None = None
    data_root: Path | None = None
    synthetic: bool = False
    out: Path | None = None
    overrides: list[str] = field(default_factory=list)
    resume: bool = False
    dry_run: bool = False
    allow_slow: bool = False
    storage: str | None = None
    tracking_uri: str | None = None
    experiment: str | None = None
    model_name: str | None = None
    final_from: Path | None = None
    rival: Path | None = None
    address: str | None = None
    allow_weak_objective: bool = False
    hours: float | None = None
    warm_start: tuple[Path, ...] = ()
    arguments: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """Return the command line as it was given, to be pasted with something more; a dry run's, to be run."""
        return shown_command(["python", "tune_runner.py", *(part for part in self.arguments if part != "--dry-run")])


@dataclass(frozen=True)
class ResolvedRequest:
    """A request that is understood and checked: what is to be done.

    Args:
        config: of the sweep.
        file: that the config came from.
        paths: of the study.
        record: of the study that goes on; None: a new one.
        data: where the clips come from; of a dry run also what is missing.
        where: it is tracked.
        chosen: config in place of a sweep's.
        address: of somebody's Ray cluster.
        cuda: there will be GPUs.
        kept: settings of a study that goes on which a new one would not have, a line each.
        terms: on which the scorer is accepted.
        body: fields of a job that say what trains in place of the trainer (`body`, `body_options`); for tests and
            benchmarks.
        rival: another study that this one is set beside.
        hours: that it was given, and the plan for them; None: it has as long as it takes.
        longest: budget that it would have without them.
        earlier: studies that it begins with.
    """

    config: SweepConfig
    file: str
    paths: StudyPaths
    record: StudyRecord | None
    data: DataPlan | str
    where: Destination
    chosen: candidates.Candidate | None
    address: str | None
    cuda: bool
    terms: Terms
    kept: tuple[str, ...] = ()
    body: dict[str, Any] = field(default_factory=dict)
    rival: Rival | None = None
    hours: PlannedHours | None = None
    longest: BudgetConfig | None = None
    earlier: tuple[EarlierStudy, ...] = ()

    def check_rival(self, store: ClipStore, scorer_hash: str) -> None:
        """Raise UserError if the rival's numbers, where there is one, do not compare with what this study will have."""
        if self.rival is not None:
            check_fair(self.rival, store.content_hash, scorer_hash, self.config.num_clips("report", store.num_classes))


def resolve(request: Request) -> ResolvedRequest:
    """Resolve a command line; files are read, none is written.

    Raises:
        UserError: wrong use or missing data (of a dry run missing data is part of the plan).
    """
    lines: list[str] = []
    words = request.dataset, request.preset, request.overrides, request.config_file, request.model
    config, file = load(*words, note=lines.append)
    usual = {"model": FIRST_MODEL, "preset": "paper"}
    name = "-".join([config.dataset, *(word for key, w in usual.items() if (word := getattr(config, key)) != w)])
    paths = StudyPaths((request.out or Path("runs") / name).resolve())
    check_out(paths.root)
    record = read_record(paths)
    paths = replace(paths, storage=storage_address(request.storage, record))
    if request.resume and record is None:
        raise UserError(f"nothing to resume in {paths.root}; leave --resume out to begin, or give its --out")
    config = _with_classes(config, record, request.data_root)
    kept = lines
    if record is not None:
        config, kept = continued(record, config, asked_keys(request.overrides, request.config_file), paths)
    check_sampler(config)
    stopping_rule(config.base.schedule, config.scheduler, config.objective)  # a class of the user's: is it one?
    chosen = candidates.candidate_from_file(config, request.final_from) if request.final_from else None
    rival = read_rival(request.rival, config) if request.rival else None
    if rival is not None and config.objective.auto:
        config = replace(config, objective=rival.objective)
    where = destination(request.tracking_uri, config, paths, request.experiment, request.model_name)
    address = request.address or os.environ.get("RAY_ADDRESS") or None
    data = _data(request, config, record, paths)
    if address is None and not request.dry_run:
        check_share(config, torch.cuda.device_count(), "this machine")
    cuda = torch.cuda.is_available() or address is not None
    terms = Terms(request.command, request.allow_weak_objective, begun=record is not None)
    rest = cuda, terms, tuple(kept), request.body, rival
    found = ResolvedRequest(config, file, paths, record, data, where, chosen, address, *rest)
    return replace(found, earlier=tuple(read_earlier(folder, config, paths) for folder in request.warm_start))


def _with_classes(config: SweepConfig, record: StudyRecord | None, data_root: Path | None) -> SweepConfig:
    """Fill in the classes of a dataset that leaves them to be found: as the study began, else as in its clips."""
    own = config.own_dataset
    if own is None or own.classes:
        return config
    began: dict[str, Any] = {} if record is None else record.config.get("own_dataset") or {}
    classes = tuple(began.get("classes", ())) or found_classes(own, data_root)
    return replace(config, own_dataset=replace(own, classes=classes))


def _data(request: Request, config: SweepConfig, record: StudyRecord | None, paths: StudyPaths) -> DataPlan | str:
    """Find the clips; a study that goes on keeps its own. For a dry run what is missing is part of the plan."""
    try:
        if record is not None and request.data_root is None and not request.synthetic:
            store = ClipStore.open(moved_store(record.store, record.store_hash, paths), config.rules)
            return DataPlan("store", store.path, store.path)
        return locate(config.rules, config.preset, request.data_root, request.synthetic, paths)
    except UserError as error:
        if request.dry_run:
            return str(error)
        raise
