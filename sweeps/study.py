"""The five stages of a study, each skipped when its result is there: prepare, scorer, sweep, final, report."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from sweeps import choice, final, plan
from sweeps.config import SweepConfig, load
from sweeps.data import DataPlan, locate, open_store
from sweeps.job import Job, Outcome
from sweeps.paths import StudyPaths
from sweeps.scorer import ScorerResult, scorer_stage
from sweeps.screen import Screen
from sweeps.search import SweepQueue, derive_seed, load_study, open_study
from sweeps.session import Stopped, StopSignals, StudyRecord, check_same, only_driver, read_record, write_record
from sweeps.shipper import Shipper
from sweeps.space import check, train_config
from sweeps.stopping import Stopper, save_points, score_points
from sweeps.tracking import shown_uri
from sweeps.wiring import make_shipper, tracking_uri
from sweeps.workers import Workers
from tsvan.data.datasets import rules
from tsvan.data.store import ClipStore
from tsvan.strict import UserError
from tsvan.terminal import duration, progress

DONE, NO_USABLE_TRIAL, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    dataset: str
    preset: str = "paper"
    config_file: Path | None = None
    data_root: Path | None = None
    synthetic: bool = False
    out: Path | None = None
    overrides: list[str] = field(default_factory=list)
    resume: bool = False
    dry_run: bool = False
    allow_slow: bool = False
    tracking_uri: str | None = None
    final_from: Path | None = None
    address: str | None = None


def run_study(options: Options) -> int:
    """Run a study, or go on with one.

    Returns:
        Exit code: 0 done, 1 no usable trial, 130 stopped with its state saved.

    Raises:
        UserError: wrong use or missing data; nothing was started and nothing written.
    """
    config, file = load(options.dataset, options.preset, options.overrides, options.config_file)
    check(config, file)
    name = config.dataset if config.preset == "paper" else f"{config.dataset}-{config.preset}"
    paths = StudyPaths((options.out or Path("runs") / name).resolve())
    record = read_record(paths)
    if options.resume and record is None:
        raise UserError(f"nothing to resume in {paths.root}; leave --resume out to begin, or give its --out")
    if record is not None:
        check_same(record, config, paths)
    chosen = choice.candidate_from_file(config, options.final_from) if options.final_from else None
    uri = tracking_uri(options.tracking_uri, paths)
    cuda = torch.cuda.is_available() or options.address is not None
    cost = plan.estimate(config, cuda, os.cpu_count() or 1, len(rules(config.dataset).classes))
    data = _data_plan(options, record, paths)
    if options.dry_run:
        plan.show(config, file, data, paths, cost, cuda, shown_uri(uri))
        return DONE
    if isinstance(data, UserError):
        raise data
    plan.refuse_slow(config, cost, cuda, options.allow_slow)
    return _Driver(options, config, paths, record, data, uri, chosen).run()


def _data_plan(options: Options, record: StudyRecord | None, paths: StudyPaths) -> Any:
    """A study that goes on keeps its clips. For a dry run what is missing is part of the plan."""
    try:
        if record is not None and options.data_root is None and not options.synthetic:
            store = ClipStore.open(record.store, options.dataset)
            return DataPlan("store", store.path, store.path)
        return locate(options.dataset, options.preset, options.data_root, options.synthetic, paths)
    except UserError as error:
        if options.dry_run:
            return f"MISSING: {error}"
        raise


class _Driver:
    """One process's work on one study."""

    def __init__(
        self,
        options: Options,
        config: SweepConfig,
        paths: StudyPaths,
        record: StudyRecord | None,
        data: DataPlan,
        uri: str,
        chosen: choice.Candidate | None,
    ) -> None:
        self.options, self.config, self.paths, self.uri = options, config, paths, uri
        self.record, self.data, self.chosen = record, data, chosen
        self.screen = Screen(config.objective.metric, config.objective.direction)
        self.signals = StopSignals(paths, self.screen.say)
        self.started = time.monotonic()

    def run(self) -> int:
        """All stages."""
        with progress("clips") as bar:
            store = open_store(self.config.dataset, self.data, self.paths, bar)
        with only_driver(self.paths), ExitStack() as stack:
            self._begin(store)
            self.signals.install()
            shipper: Shipper | None = None
            try:
                scorer = self._scorer(store)
                shipper = make_shipper(self.config, self.record_now, store, scorer, self.paths, self.uri)
                shipper.start()
                workers = Workers(self.config, self.options.address, self.paths, self.uri, shipper, self.screen, stack)
                template = self._template(store, scorer, workers)
                study_done = self._sweep(template, workers, shipper)
                result = self._final(template, workers) if study_done else None
                return self._report(result, scorer, shipper)
            except Stopped:
                left = shipper.close("interrupted", timeout_s=15) if shipper is not None else []
                self._goodbye(left)
                return INTERRUPTED
            except BaseException:
                if shipper is not None:
                    shipper.close("failed", timeout_s=5)
                raise

    def _begin(self, store: ClipStore) -> None:
        new = self.record is None
        self.record_now = write_record(self.paths, self.record, self.config, store)
        source = "stand-in clips" if store.data_source == "synthetic" else "clips"
        verb = "new study" if new else "going on with the study"
        self.screen.say(f"{verb} in {_shown(self.paths.root)}: {self.config.dataset}, preset {self.config.preset}")
        split = {name: len(store.split(name)) for name in ("train", "test")}
        self.screen.say(
            f"1 prepare: {split['train']} {source} to train on, {split['test']} held out, {store.num_classes} "
            f"class(es), in {_shown(store.path)}"
        )
        self._say_tracking()

    def _say_tracking(self) -> None:
        if self.uri.startswith("sqlite:"):
            self.screen.say(f"see it in MLflow: mlflow ui --backend-store-uri {shown_uri(self.uri)}")
        else:
            self.screen.say(f"see it in MLflow: {shown_uri(self.uri)}")

    def _scorer(self, store: ClipStore) -> ScorerResult:
        with progress("scorer") as bar:
            result = scorer_stage(self.config, store, self.paths, bar)
        accuracies = ", ".join(f"{name} {value:.3f}" for name, value in result.accuracies.items())
        self.screen.say(
            f"2 scorer: held-out accuracy {accuracies} ({'trained' if result.trained else 'found'}, {result.hash[:12]})"
        )
        for warning in result.warnings:
            self.screen.say(f"  warning: {warning}")
        return result

    def _template(self, store: ClipStore, scorer: ScorerResult, workers: Workers) -> Job:
        """What all jobs of the study share."""
        schedule = self.config.base.schedule
        return Job(
            name="",
            number=0,
            folder="",
            config={},
            store=str(store.path),
            store_hash=store.content_hash,
            scorer=scorer.folder,
            scorer_config=scorer.config,
            group="validation",
            num_clips=plan.num_clips(self.config, "validation", store.num_classes),
            save_at=save_points(schedule),
            score_at=score_points(schedule),
            objectives=tuple(objective.metric for objective in self.config.objectives),
            batch_size=self.config.scoring.batch_size,
            threads=workers.slots.cpus,
            device="cuda" if workers.slots.gpus > 0 else "cpu",
            stop_file=str(self.paths.stop),
            i3d=self.config.scoring.i3d,
        )

    def _sweep(self, template: Job, workers: Workers, shipper: Shipper) -> bool:
        if self.chosen is not None:
            self.screen.say(f"3 sweep: skipped, the config is from {self.chosen.origin}")
            return True
        config, paths = self.config, self.paths

        def make_job(number: int, params: dict[str, Any]) -> Job:
            train = train_config(config, params, derive_seed(config.seed, "trial", number))
            values = {"name": f"trials/{number:03d}", "number": number, "folder": str(paths.trial(number).folder)}
            return Job(**{**vars(template), **values, "config": train.to_dict()})

        study = open_study(paths, config)
        stopper = Stopper.of(config.base.schedule, config.scheduler, config.objective.direction)
        queue = SweepQueue(study, config, make_job, stopper)
        for trial in study.trials:
            outcome = Outcome.read(paths.trial(trial.number))
            if outcome is not None:
                shipper.catch_up(make_job(trial.number, trial.params), outcome)
        if queue.done >= queue.total:
            self.screen.say(f"3 sweep: all {queue.total} trials are done")
        else:
            where = f"{workers.slots.workers} at a time on {'GPU' if workers.slots.gpus else 'CPU'}"
            self.screen.begin(
                f"3 sweep: {queue.total} trials, {queue.done} done before, {where}", queue.total, queue.done
            )
            workers.run(queue, self.signals)
        return bool(choice.best_candidates(config, study, 1))

    def _final(self, template: Job, workers: Workers) -> final.FinalResult:
        config, paths = self.config, self.paths
        classes = ClipStore.open(template.store).num_classes

        def run(queue: final.FixedQueue) -> None:
            if len(queue):
                self.screen.begin(f"4 final: {len(queue)} run(s) with fresh seeds", len(queue))
                workers.run(queue, self.signals)
            else:
                self.screen.say("4 final: its runs are done")

        def sized(group: str) -> Job:
            return Job(**{**vars(template), "num_clips": plan.num_clips(config, group, classes)})

        study = load_study(paths) if paths.database.exists() else None
        published = choice.published_candidate(config, study)
        confirmed: dict[str, float] = {}
        if self.chosen is not None:
            winner = self.chosen
        else:
            assert study is not None
            best = choice.best_candidates(config, study, config.final.confirm.top_k)
            if config.final.confirm.top_k > 1:
                unlike = [candidate for candidate in best if candidate.key != published.key]
                best, confirmed = final.confirm([*unlike, published], config, sized("confirm"), paths, run)
            winner = best[0]
        return final.report(winner, published, config, sized("report"), paths, run, confirmed)

    def _report(self, result: final.FinalResult | None, scorer: ScorerResult, shipper: Shipper) -> int:
        from sweeps.publishing import publish

        shipper.settle(timeout_s=60)
        code = publish(self.config, self.record_now, result, scorer, self.paths, shipper, self.screen)
        left = shipper.close("complete" if code == DONE else "failed", timeout_s=3 if shipper.trouble else 30)
        if left or shipper.trouble:
            self.screen.say(
                f"not delivered to MLflow ({shipper.trouble or 'too slow'}): {', '.join(left) or 'results'}"
            )
            self.screen.say("  the files are kept; the same command again delivers them")
        self.screen.say(f"took {duration(time.monotonic() - self.started)}")
        self._say_tracking()
        return code

    def _goodbye(self, left: list[str]) -> None:
        command = shlex.join(["python", *sys.argv])
        self.screen.say(f"stopped; everything is saved in {_shown(self.paths.root)}. Go on with:")
        self.screen.say(f"  {command if '--resume' in sys.argv else command + ' --resume'}")
        if left:
            self.screen.say(f"  not yet delivered to MLflow: {', '.join(left)}")


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read_summary(paths: StudyPaths) -> dict[str, Any]:
    """A finished study's `summary.json`."""
    values: dict[str, Any] = json.loads(paths.summary.read_text())
    return values
