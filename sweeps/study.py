"""The five stages of a study, each skipped when its result is there: prepare, scorer, sweep, final, report."""

from __future__ import annotations

import sys
import time
import traceback
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from sweeps.commands import dry_run
from sweeps.commands.hours import resolve_hours
from sweeps.commands.request import Request, ResolvedRequest
from sweeps.config.same_study import check_same
from sweeps.config.schema import Objective
from sweeps.config.space import train_config
from sweeps.data import DataPlan, open_store, store_line
from sweeps.execution.hours_left import HoursLeft
from sweeps.execution.job_template import job_template
from sweeps.execution.resources import Workers, join
from sweeps.final import candidates, reruns
from sweeps.final.seed_noise import study_noise
from sweeps.final.stage import final_stage
from sweeps.live_table import LiveTable
from sweeps.report.live_page import LivePage
from sweeps.scorer import check_same_scorer, scorer_stage, write_scorer_result
from sweeps.search.early_stopping import stopping_rule
from sweeps.search.lost_outcomes import restore_outcomes
from sweeps.search.seeds import derive_seed
from sweeps.search.storage import ask_storage, open_study, trial_numbers
from sweeps.search.trial_queue import SweepQueue
from sweeps.search.warm_start import WarmStart, take_over
from sweeps.state.errors import ClusterLost, StorageError, storage_error
from sweeps.state.hours import begin_hours, is_over
from sweeps.state.inbox import Inbox
from sweeps.state.job import Job, Outcome
from sweeps.state.lock import leave_no_trace, only_driver
from sweeps.state.log import StudyLog
from sweeps.state.record import check_same_clips, original, read_record, write_record
from sweeps.state.retention import delete_unfinished_checkpoints, drop_optimizer_state, remove_leftovers
from sweeps.state.scorer_result import ScorerResult
from sweeps.state.signals import StopSignals, StudyInterrupted
from sweeps.state.stage_at_work import StageAtWork
from sweeps.state.uris import has_secrets, is_local, shown_command
from sweeps.status.damage import set_damaged_aside
from sweeps.tracking import preflight
from sweeps.tracking.destination import page_address, see
from sweeps.tracking.run_metadata import make_uploader
from sweeps.tracking.uploader import Uploader
from tsvan.data.store import ClipStore
from tsvan.files import shown_path
from tsvan.models.precision import slow_bfloat16
from tsvan.terminal import counted, duration, progress
from tsvan.validation import UserError

DONE, NO_USABLE_TRIAL, WRONG_USE, CLUSTER_LOST, INTERRUPTED = 0, 1, 2, 3, 130


def run_study(asked: Request, driver: type[StudyDriver] | None = None) -> int:
    """Run a study, or go on with one.

    Args:
        asked: by the command line.
        driver: another one than `StudyDriver`.

    Returns:
        Exit code: 0 done, 1 no usable trial, 3 the cluster is lost, 130 stopped with its state saved.

    Raises:
        UserError: wrong use or missing data; nothing was started and nothing written.
    """
    request = resolve_hours(asked)
    if asked.dry_run:
        answers = preflight.ask(request.where).text, ask_storage(request.paths)
        return DONE if dry_run.plan(request, asked.allow_slow, *answers) else WRONG_USE
    dry_run.refuse_slow(request, asked.allow_slow)
    return (driver or StudyDriver)(request).run()


class StudyDriver:
    """The driver of one study in one process."""

    def __init__(self, request: ResolvedRequest) -> None:
        self.request, self.config, self.paths = request, request.config, request.paths
        self.log = StudyLog(self.paths)
        self.live_table = LiveTable(self.config.objective, log=self.log)
        self.signals = StopSignals(self.paths, self.live_table.say)
        self.page = LivePage(self.config, self.paths, self.live_table.progress, self.live_table.say)
        self.live_table.changed = self.page.renew
        self.uploader: Uploader | None = None
        self.joined: Any = None  # watches a cluster that is joined; its class knows Ray, which is not imported here
        self.started = time.monotonic()

    def run(self) -> int:
        """Run all stages, and return the exit code."""
        with self.signals.installed(), ExitStack() as stack:
            stack.callback(self.page.close)
            try:
                store = self._prepare(stack)
                scorer = self._scorer(store)
                self.record_now = write_record(self.paths, read_record(self.paths), self.config.to_dict(), store)
                write_scorer_result(self.paths, scorer)
                return self._stages(store, scorer, stack)
            except StudyInterrupted:
                self._goodbye(self.uploader.close("interrupted", timeout_s=15) if self.uploader is not None else [])
                return INTERRUPTED
            except ClusterLost as lost:
                return self._lost(str(lost))
            except BaseException as error:
                line = storage_error(error, self.paths.root)
                self.log.add(line or f"error: {error}" if isinstance(error, UserError) else traceback.format_exc())
                if self.uploader is not None:
                    self.uploader.close("interrupted" if line else "failed", timeout_s=5)
                if line:
                    raise StorageError(line) from None
                raise

    def _prepare(self, stack: ExitStack) -> ClipStore:
        """Refuse what can still be refused, before the study's first file is written, and return the clip store."""
        request = self.request
        assert isinstance(request.data, DataPlan)
        self.mlflow, self.optuna = preflight.ask(request.where), ask_storage(request.paths)
        if request.address is not None:
            self.joined = join(request.address, self.config, request.where.uri, stack)
            self.signals.install()  # Ray takes SIGTERM when it starts
        began_with = None if request.record is None else Path(request.record.store)
        with progress("clips") as bar:
            store = open_store(self.config.rules, request.data, self.paths, began_with, bar)
        stack.callback(leave_no_trace, self.paths)
        stack.enter_context(only_driver(self.paths, self.live_table.say))
        store.verify()
        record = read_record(self.paths)  # again, as now no other driver can write it
        if record is not None and request.record is None:
            raise UserError(f"another driver has begun {self.paths.root} meanwhile; go on with it by the same command")
        if record is not None:
            check_same(record, self.config, self.paths)
            check_same_clips(self.paths, record, store)
            remove_leftovers(self.paths)
            for line in set_damaged_aside(self.paths):
                self.live_table.say(line)
            if (other := original(record, self.paths)) is not None:
                self.live_table.say(f"this folder is a copy of the study in {other}: it gets runs of its own in MLflow")
        self._say_beginning(store, record is None)
        return store

    def _stages(self, store: ClipStore, scorer: ScorerResult, stack: ExitStack) -> int:
        request = self.request
        request.check_rival(store, scorer.hash)
        self.uploader = uploader = make_uploader(
            self.config, self.record_now, store, scorer, self.paths, request.where, self.live_table.say
        )
        uploader.start()
        if self.mlflow.is_there and not is_local(request.where.uri):
            uploader.open()  # that it may be read says not that it may be written
        take_over(request.earlier, self.config, store.content_hash, scorer.hash, self.paths, self.live_table.say)
        begin_hours(request.hours, self.paths)
        hours = HoursLeft(self.paths, self.started)
        workers = Workers(
            self.config, self.joined, self.paths, store, uploader, self.live_table, stack, self._lost, hours
        )
        template = job_template(self.config, store, scorer, workers.slots, self.paths, request.body)
        self._calibrate(template, workers, uploader)
        study_done = self.sweep(template, workers, uploader)
        result = self._final(template, workers, uploader) if study_done else None
        return self.report(result, scorer, uploader)

    def _say_beginning(self, store: ClipStore, new: bool) -> None:
        verb = "new study" if new else "going on with the study"
        what = f"{self.config.dataset}, preset {self.config.preset}"
        self.live_table.say(f"{verb} in {shown_path(self.paths.root)}: {what}")
        for line in self.request.kept:
            self.live_table.say(f"  {line}")
        self.live_table.say(f"1 prepare: {store_line(store)}")
        if not self.request.cuda and (warning := slow_bfloat16(self.config.base.precision)):
            self.live_table.say(f"  warning: {warning}")
        if self.paths.storage:
            self.live_table.say(f"Optuna: {self.optuna}")
        self.live_table.say(f"MLflow: {self.mlflow.text}")
        self._say_tracking()

    def _say_tracking(self) -> None:
        self.live_table.say(f"see it in MLflow: {see(self.request.where.uri)}")

    def _scorer(self, store: ClipStore) -> ScorerResult:
        """Find or train the scorer; the objective `auto` becomes the metric that it allows."""
        with progress("scorer") as bar:
            result = scorer_stage(self.config, store, self.paths, self.request.terms, bar)
        if trial_numbers(self.paths):
            check_same_scorer(self.paths, result.hash)
        self.config = replace(self.config, objective=Objective(**result.objectives[0]))
        self.live_table.objective, self.page.config = self.config.objective, self.config
        for line in result.lines():
            self.live_table.say(line, prose=True)
        return result

    def sweep(self, template: Job, workers: Workers, uploader: Uploader) -> bool:
        """Run the trials that remain, and return whether a winner can be chosen."""
        if self.request.chosen is not None:
            self.live_table.say(f"3 sweep: skipped, the config is from {self.request.chosen.origin}")
            return True
        config, paths = self.config, self.paths

        def make_job(number: int, params: dict[str, Any]) -> Job:
            train = train_config(config, params, derive_seed(config.seed, "trial", number))
            values = {"name": f"trials/{number:03d}", "number": number, "folder": str(paths.trial(number).folder)}
            return Job(**{**vars(template), **values, "config": train.to_dict(), "params": params})

        study = open_study(paths, config, self.live_table.say)
        for number in restore_outcomes(study, paths):
            self.live_table.say(f"  trial {number}: its end is written down again, as Optuna's database tells it")
        queue = SweepQueue(study, config, make_job, Inbox(paths), WarmStart.read(paths))
        if is_over(paths):
            queue.close()
        rule = stopping_rule(config.base.schedule, config.scheduler, config.objective)
        rule.recall(queue.known_scores())
        for trial in study.trials:
            outcome = Outcome.read(paths.trial(trial.number))
            if outcome is not None:
                uploader.catch_up(queue.job_of(trial).kept(), outcome)
        if queue.done >= queue.total:
            self.live_table.say(f"3 sweep: all {queue.total} trials are done")
        else:
            where = f"{workers.placement.workers} at a time on {'GPU' if workers.slots.gpus else 'CPU'}"
            title = f"3 sweep: {queue.total} trials, {queue.done} done before, {where}"
            self._begin_runs(title, queue.total, queue.done)
            workers.run_sweep(queue, rule, self.signals)
        delete_unfinished_checkpoints(paths)
        return bool(candidates.best_candidates(config, study, 1))

    def _calibrate(self, template: Job, workers: Workers, uploader: Uploader) -> None:
        config = self.config
        if not config.calibrate.seeds or self.request.chosen is not None:
            return
        published = candidates.published_candidate(config, None)
        reruns.calibrate(published, config, template, self.paths, self._reruns("calibrate", workers, uploader))
        noise = study_noise(self.paths, config.objective.metric, template.num_clips)
        if noise is not None:
            self.live_table.say(f"  noise between seeds: {config.objective.metric} ± {noise.std:.3g} ({noise.source})")

    def _reruns(self, title: str, workers: Workers, uploader: Uploader) -> reruns.RunJobs:
        """Return what runs the reruns of a stage that have not ended yet."""

        def run(jobs: reruns.JobList) -> None:
            for job, outcome in jobs.ended:
                uploader.catch_up(job.kept(), outcome)
                if outcome.state != "complete":
                    drop_optimizer_state(job.paths)
            if jobs.waiting:
                self._begin_runs(f"{title}: {counted(len(jobs.waiting), 'run')} with fresh seeds", len(jobs.waiting))
                workers.run_jobs(jobs.waiting, self.signals)
            else:
                self.live_table.say(f"{title}: its runs are done")

        return run

    def _begin_runs(self, title: str, total: int, done: int = 0) -> None:
        """Say that a stage begins with its jobs, here and to `status` elsewhere."""
        StageAtWork(total, done, time.time()).write(self.paths)
        self.live_table.begin(title, total, done)

    def _final(self, template: Job, workers: Workers, uploader: Uploader) -> reruns.FinalResult | None:
        chosen, classes = self.request.chosen, ClipStore.open(template.store).num_classes
        run = self._reruns("4 final", workers, uploader)
        return final_stage(self.config, chosen, template, classes, self.paths, run, self.live_table.say)

    def report(self, result: reruns.FinalResult | None, scorer: ScorerResult, uploader: Uploader) -> int:
        """Write the report, deliver what is left, say where all lies, and return the exit code."""
        from sweeps.report.stage import publish

        self.page.close()  # the report takes its place
        uploader.settle(timeout_s=60)
        parts = (self.config, self.record_now, result, scorer, self.paths, uploader, self.live_table)
        code = publish(*parts, self.request.rival)
        left = uploader.close("complete" if code == DONE else "failed", timeout_s=3 if uploader.problem else 30)
        for line in uploader.missing(left):
            self.live_table.say(line)
        self.live_table.say(f"took {duration(time.monotonic() - self.started)}")
        self._say_tracking()
        if uploader.page:
            self.live_table.say(f"  and there the study: {page_address(self.request.where.uri, uploader.page)}")
        return code

    def _lost(self, lost: str) -> int:
        self.live_table.say(f"the Ray cluster is lost: {lost}")
        self._goodbye(self.uploader.close("interrupted", timeout_s=15) if self.uploader is not None else [])
        return INTERRUPTED if self.signals.asked else CLUSTER_LOST

    def _goodbye(self, left: list[str]) -> None:
        command = shown_command(["python", *sys.argv])
        begun = self.paths.config.exists()
        kept = f"everything is saved in {shown_path(self.paths.root)}" if begun else "nothing was begun"
        self.live_table.say(f"stopped; {kept}. Go on with:")
        self.live_table.say(f"  {command if '--resume' in sys.argv or not begun else command + ' --resume'}")
        if has_secrets(self.paths.storage):
            self.live_table.say("  with OPTUNA_STORAGE in its environment: the database's address with its password")
        if left:
            self.live_table.say(f"  not yet delivered to MLflow: {', '.join(left)}")
