"""Jobs on Ray Tune: the loop around its loop. Searcher and scheduler decide; Ray finds a machine, starts the worker,
and starts it again when it dies. Ray's snapshots are never restored: a study goes on from its own files.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

from sweeps.execution.callbacks import JobCallback, WatchCallback
from sweeps.execution.cluster_watch import ClusterWatch
from sweeps.execution.job_registry import JobRegistry
from sweeps.execution.memory_pressure import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    MemoryPressure,
    await_memory,
    pause,
    pressure_in,
)
from sweeps.execution.scheduler import EarlyStoppingScheduler
from sweeps.execution.searchers import JobSearcher
from sweeps.execution.slots import Placement, slots_of
from sweeps.execution.worker import JobActor, claimed_by, note_memory
from sweeps.search.early_stopping import StoppingRule
from sweeps.state.errors import ClusterLost, StorageError
from sweeps.state.job import Job, Outcome

import ray  # isort: skip
from ray import tune  # isort: skip


class JobRunner:
    """A runner of a searcher's jobs on the cluster that is connected.

    Args:
        searcher: hands out jobs and hears of their ends.
        rule: says which trials are stopped early; None: none.
        callbacks: look on.
        watch: of the cluster.
        placement: says where jobs go, and how many at a time.
        folder: Ray's bookkeeping.
        retries: starts of a job after its worker died or raised, with no score in between.
        steering: follows what users ask of the study meanwhile; None: nobody can.
    """

    def __init__(
        self,
        searcher: JobSearcher,
        rule: StoppingRule | None,
        callbacks: Sequence[JobCallback],
        watch: ClusterWatch,
        placement: Placement,
        folder: Path,
        retries: int,
        steering: tune.Callback | None = None,
    ) -> None:
        self._searcher, self._rule, self._callbacks, self._watch = searcher, rule, callbacks, watch
        self._placement, self._folder = placement, folder
        self._registry: JobRegistry = searcher.registry
        self._registry.retries = retries
        self._steering = [] if steering is None else [steering]
        self._pause_s = FIRST_PAUSE_S

    def run(self) -> None:
        """Run jobs until there are no more, or until the study is to stop or on hold and the running ones have saved.

        A job that runs out of memory is put aside; when the others have ended, it goes on from its checkpoint with a
        device to itself, and fails if that is too small as well. (Ray can't give a running trial another share while
        its workers are reused.)

        Raises:
            StorageError: the study can't be written; the running jobs have been stopped.
            ClusterLost: Ray's own processes are gone; the registry holds what ran.
            StudyInterrupted: the study was to stop, and jobs did not save in time.
        """
        registry = self._registry
        while True:
            self._watch.in_use = True
            try:
                self._run_once()
            finally:
                self._watch.in_use = False
            if registry.closed() or registry.hold:
                break
            if not registry.again:
                registry.bring_back_aside()
            if not registry.again:
                break
        if registry.problem:
            raise StorageError(registry.problem)

    def _run_once(self) -> None:
        """Run Ray Tune's loop until it has no more to do, or has to be left."""
        registry, scores, pressure = self._registry, self._registry.num_scores, None
        try:
            self._tune()
        except ClusterLost:
            self._tell(registry.put_back(excused=True))
            raise
        except Exception as error:
            pressure = pressure_in(error)
            if pressure is None:
                if self._watch.await_verdict():
                    self._tell(registry.put_back(excused=True))
                    raise ClusterLost(self._watch.lost) from error
                raise
        if pressure is not None:
            self._make_room(pressure, progress=registry.num_scores > scores)
        else:
            self._tell(registry.put_back(excused=False))  # Ray let go of them without a word

    def _tune(self) -> None:
        scheduler, registry = EarlyStoppingScheduler(self._registry, self._rule), self._registry
        alone = bool(registry.again) and all(job.larger_share for job in registry.again)
        registry.placement = _whole_devices(self._placement) if alone else self._placement
        watch = WatchCallback(self._watch, scheduler, registry)
        shutil.rmtree(self._folder, ignore_errors=True)
        for name in ("tune", "execution.experiment_state"):  # failed jobs and full disks are told elsewhere
            logging.getLogger(f"ray.tune.{name}").setLevel(logging.CRITICAL)
        try:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):  # Ray prints what its daemons log
                tune.run(
                    JobActor,
                    name="jobs",
                    storage_path=str(self._folder),
                    num_samples=-1,
                    search_alg=self._searcher,
                    scheduler=scheduler,
                    callbacks=[watch, *self._steering, *self._callbacks],
                    reuse_actors=True,
                    max_failures=0,  # the registry hands a job out again, where there is a place by then
                    raise_on_failed_trial=False,
                    verbose=0,
                    trial_dirname_creator=lambda trial: str(trial.trial_id),
                )
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _make_room(self, pressure: MemoryPressure, progress: bool) -> None:
        """Say what was killed, take back what ran, and wait until the machine has memory again."""
        registry, needed = self._registry, 0.0
        running = {claimed_by(job): job for job in registry.running()}
        for victim in pressure.victims:
            needed = max(needed, victim.used_gib)
            job = running.get(victim.pid)
            name = "a worker" if job is None else job.name
            taken = f"{pressure}, {victim.used_gib:.1f} by it"
            registry.say(f"  {name} was killed by Ray's memory monitor ({taken}); it goes on from its checkpoint")
            if job is not None and pressure.is_to_blame(victim):
                note_memory(job, f"killed by Ray's memory monitor: {taken}")
        if not pressure.victims:
            registry.say("  a worker was killed by Ray's memory monitor; it goes on from its checkpoint")
        self._tell(registry.put_back(excused=True))
        if pressure.by_workers and self._placement.workers > 1:
            registry.say(f"  the trials take most of the memory: {self._placement.shrink()} at a time from now on")
        self._pause_s = FIRST_PAUSE_S if progress else min(2 * self._pause_s, LONGEST_PAUSE_S)
        if self._watch.own:
            await_memory(registry.say, registry.closed, self._pause_s, needed)
        else:
            pause(self._pause_s, registry.closed)

    def _tell(self, ended: list[tuple[Job, Outcome]]) -> None:
        """Tell of ends that Ray did not live to see."""
        for job, outcome in ended:
            for listener in (self._searcher.finished, *(callback.ended for callback in self._callbacks)):
                self._registry.guarded(None, listener, job, outcome)


def _whole_devices(placement: Placement) -> Placement:
    """Return the largest places there are: a GPU each, or without GPUs all cores of a machine."""
    share = 1.0 if any(slots.gpus for _, slots in placement.nodes()) else 0.0
    nodes = [node for node in ray.nodes() if node["Alive"] and placement.uses(node["NodeID"])]  # type: ignore[no-untyped-call]
    most = max((node["Resources"].get("CPU", 0.0) for node in nodes), default=0.0)
    whole = Placement()
    for node in nodes:
        cpus = node["Resources"].get("CPU", 0.0)
        if share or cpus == most:
            slots = slots_of(cpus, node["Resources"].get("GPU", 0.0), share)
            whole.add(node["NodeID"], node["NodeManagerAddress"], slots)
    return whole
