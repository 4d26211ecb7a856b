"""How many trials at a time and with what; the cluster is started when there is work for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from sweeps.config.schema import SweepConfig
from sweeps.execution import ray_environment
from sweeps.execution.gpu_share import gpu_share
from sweeps.execution.hours_left import HoursLeft
from sweeps.execution.restart import num_restarts, run_again
from sweeps.execution.slots import Placement, Slots, jobs_a_gpu
from sweeps.execution.steering import Steering
from sweeps.live_table import LiveTable
from sweeps.state.errors import ClusterLost
from sweeps.state.paths import StudyPaths
from sweeps.state.signals import StopSignals
from sweeps.state.stage_at_work import StageAtWork
from sweeps.state.uris import is_local, shown_uri
from sweeps.tracking.uploader import Uploader
from tsvan.cores import available_cores
from tsvan.data.store import ClipStore
from tsvan.validation import UserError

if TYPE_CHECKING:
    from sweeps.execution.cluster_watch import ClusterWatch
    from sweeps.execution.job_registry import JobRegistry
    from sweeps.execution.searchers import JobSearcher
    from sweeps.search.early_stopping import StoppingRule
    from sweeps.search.trial_queue import SweepQueue
    from sweeps.state.job import Job

MAX_CLUSTERS = 5
"""Clusters of our own that a study starts, one after the other, before it gives up."""


def join(address: str, config: SweepConfig, uri: str, stack: ExitStack) -> ClusterWatch:
    """Connect to somebody's cluster, for as long as the stack lasts. Nothing has been written yet.

    Raises:
        UserError: nobody answers there, or the study can't run there.
    """
    ray_environment.prepare(joins=True)
    from sweeps.execution import ray_cluster

    watch = stack.enter_context(ray_cluster.joined_cluster(address))
    if ray_cluster.num_nodes() > 1 and is_local(uri):
        raise UserError(
            f"the Ray cluster has {ray_cluster.num_nodes()} nodes, but the tracking store {shown_uri(uri)} is a "
            f"file of this one; give --tracking-uri of an MLflow server"
        )
    check_share(config, ray_cluster.cluster_resources()["GPU"], "the Ray cluster")
    return watch


def check_share(config: SweepConfig, gpus: float, where: str) -> None:
    """Refuse, with a UserError, to let a trial have more GPUs than there are: it would wait for ever."""
    share = config.resources.gpus_per_trial
    if not isinstance(share, str) and share > gpus:
        raise UserError(f"resources.gpus_per_trial is {share:g}, but {where} has {gpus:g} GPU(s); use auto or less")


class Workers:
    """The machines of a study.

    Args:
        joined: watches a cluster of somebody's; None: there will be one of our own on this machine.
        store: the clips, which each node of a cluster must see.
        stack: ends our cluster.
        give_up: says that the cluster is lost, and returns the exit code.
        hours: that the study was given.

    Raises:
        UserError: no node of the cluster can be used.
    """

    def __init__(
        self,
        config: SweepConfig,
        joined: ClusterWatch | None,
        paths: StudyPaths,
        store: ClipStore,
        uploader: Uploader,
        live_table: LiveTable,
        stack: ExitStack,
        give_up: Callable[[str], int],
        hours: HoursLeft,
    ) -> None:
        self._steering = Steering(paths, live_table.say, config.resources.workers, hours)
        self._config = _with_workers(config, self._steering.workers_asked)
        self._paths, self._watch = paths, joined
        self._uploader, self._live_table, self._give_up = uploader, live_table, give_up
        self._cluster, self._clusters = stack.enter_context(ExitStack()), num_restarts()
        if joined is None:
            self.slots = local_slots(self._config, paths)
            self.placement = Placement.of(self.slots)
        else:
            self.placement = self._cluster_placement(store, stack)
            self.slots = next(slots for _, slots in self.placement.nodes() if slots.workers)

    def run_sweep(self, queue: SweepQueue, rule: StoppingRule, signals: StopSignals) -> None:
        """Run what remains of the sweep.

        Raises:
            StudyInterrupted: the user stopped the study; the running jobs have saved.
            ClusterLost: Ray's own processes are gone, and the study could not go on by itself.
        """

        def searcher(registry: JobRegistry) -> JobSearcher:
            from sweeps.execution.searchers import QueueSearcher

            return QueueSearcher(registry, queue)

        self._run(searcher, rule, signals)

    def run_jobs(self, jobs: tuple[Job, ...], signals: StopSignals) -> None:
        """Run a fixed list of jobs. Raises as `run_sweep` does."""

        def searcher(registry: JobRegistry) -> JobSearcher:
            from sweeps.execution.searchers import RerunSearcher

            return RerunSearcher(registry, jobs)

        self._run(searcher, None, signals)

    def _run(
        self, searcher_of: Callable[[JobRegistry], JobSearcher], rule: StoppingRule | None, signals: StopSignals
    ) -> None:
        self._arrange(self._paths.stop.exists)
        watch = self._connect(signals)
        from sweeps.execution.callbacks import SteeringCallback, TableCallback, UploadCallback
        from sweeps.execution.job_registry import JobRegistry
        from sweeps.execution.job_runner import JobRunner

        registry = JobRegistry(self._paths.stop, self._live_table.say)
        searcher = searcher_of(registry)
        shown = [UploadCallback(registry, self._uploader), TableCallback(registry, self._live_table)]
        retries = self._config.resources.retries
        try:
            with signals.patient():
                while True:
                    registry.check_cluster, now = watch.check, self.placement
                    steered = SteeringCallback(self._steering, registry, searcher, now.workers, self._expect)
                    runner = JobRunner(searcher, rule, shown, watch, now, self._paths.ray, retries, steered)
                    try:
                        runner.run()
                        self._steering.look()
                        if not (registry.hold or searcher.more()):
                            return
                    except ClusterLost as lost:
                        if not registry.closed():
                            self._disconnect(lost)
                    if registry.closed():
                        return  # what ran has its checkpoints
                    self._arrange(registry.closed)
                    registry.hold = ""
                    watch = self._connect(signals)
        finally:
            self._live_table.end()

    def _arrange(self, closed: Callable[[], bool]) -> None:
        """Wait while the study is paused, and then have as many workers as its users ask for."""
        steering = self._steering
        steering.await_resume(closed)
        if closed():
            return
        if steering.workers_asked != steering.workers_now:
            self._config = _with_workers(self._config, steering.workers_asked)
            own = self._watch is None or self._watch.own
            if own and self._watch is not None:
                self._end_cluster()  # which has so many cores as it was started with
                self._clusters -= 1
            if own:
                self.slots = local_slots(self._config, self._paths)
                self.placement = Placement.of(self.slots)
            else:
                self.placement.limit(steering.workers_asked)
        steering.arranged(self.placement.workers)

    def _expect(self, total: int) -> None:
        """Show how many jobs there are in all, here and to `status` elsewhere."""
        self._live_table.expect(total)
        stage = StageAtWork.read(self._paths)
        if stage is not None:
            replace(stage, total=total).write(self._paths)

    def _connect(self, signals: StopSignals) -> ClusterWatch:
        if self._watch is not None and self._watch.own and self._watch.lost:  # between two stages
            self._disconnect()
        if self._watch is None:
            from sweeps.execution.head_process import running_head

            ray_environment.prepare(joins=False)
            head = self._cluster.enter_context(running_head(self.slots))
            # Ray's processes need seconds to start, and Ray Tune's modules to load: both at once.
            from sweeps.execution import job_runner, ray_cluster  # noqa: F401

            self._watch = self._cluster.enter_context(ray_cluster.connected_to(head))
            self._clusters += 1
        signals.install()  # Ray takes SIGTERM when it starts
        self._watch.on_stuck = self._leave
        return self._watch

    def _disconnect(self, lost: BaseException | None = None) -> None:
        """Let go of a cluster that is lost. Raises `lost` where there is to be no other."""
        assert self._watch is not None
        if lost is not None and (not self._watch.own or self._clusters >= MAX_CLUSTERS):
            raise lost
        self._live_table.say(f"  Ray's processes died ({self._watch.lost}); the study goes on in a new cluster")
        self._end_cluster()

    def _end_cluster(self) -> None:
        self._watch = None
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # Ray prints what its daemons log
            self._cluster.close()

    def _leave(self, lost: str) -> None:
        """Leave the main thread to Ray, which holds it since the cluster is lost."""
        assert self._watch is not None
        if self._watch.own and self._clusters < MAX_CLUSTERS and not self._paths.stop.exists():
            self._live_table.end()
            self._live_table.say(f"  Ray's processes died ({lost}); the study goes on in a new cluster")
            run_again()
        os._exit(self._give_up(lost))

    def _cluster_placement(self, store: ClipStore, stack: ExitStack) -> Placement:
        from sweeps.execution.study_nodes import check_plan, study_placement

        plan = check_plan(self._paths, str(store.path), store.content_hash)
        self._live_table.say("the Ray cluster's nodes:")
        return study_placement(self._config, self._paths, plan, self._live_table.say, stack)


def local_slots(config: SweepConfig, paths: StudyPaths) -> Slots:
    """Return the slots of this machine: as many jobs as its GPUs hold, or on a CPU one, unless it is asked for more."""
    asked = config.resources
    cores, gpus = available_cores(), torch.cuda.device_count()
    share = gpu_share(config, paths) if gpus else 0.0
    workers = asked.workers or (gpus * jobs_a_gpu(share) if share else 1)
    return Slots(workers, asked.cpus_per_trial or max(cores // workers, 1), share)


def _with_workers(config: SweepConfig, workers: int | None) -> SweepConfig:
    return replace(config, resources=replace(config.resources, workers=workers))
