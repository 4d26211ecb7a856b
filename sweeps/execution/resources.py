"""How many trials at a time and with what; the cluster is started when there is work for it."""

from __future__ import annotations

import gc
import importlib
import json
import math
import os
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

from sweeps.config.schema import SweepConfig
from sweeps.config.space import largest
from sweeps.live_table import LiveTable
from sweeps.state.paths import StudyPaths
from sweeps.state.signals import StopSignals
from sweeps.state.uris import is_local, shown_uri
from sweeps.tracking.uploader import Uploader
from tsvan.config import TrainConfig
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.state_file import MADE_AGAIN, read_state
from tsvan.validation import UserError

if TYPE_CHECKING:
    from sweeps.execution.ray_cluster import Slots
    from sweeps.state.job import JobQueue, Listener

_MARGIN = 1.15  # of the measured peak: the graphs and the gaps of a longer run
_CONTEXT_BYTES = 600 * 2**20  # of a process on a GPU before it allocates anything


def join(address: str, config: SweepConfig, uri: str, stack: ExitStack) -> None:
    """Connect to somebody's cluster, for as long as the stack lasts. Nothing has been written yet.

    Raises:
        UserError: nobody answers there, or the study can't run there.
    """
    from sweeps.execution import ray_cluster

    stack.enter_context(ray_cluster.connected(address, None))
    if ray_cluster.num_nodes() > 1 and is_local(uri):
        raise UserError(
            f"the Ray cluster has {ray_cluster.num_nodes()} nodes, but the tracking store {shown_uri(uri)} is a "
            f"file of this one; give --tracking-uri of an MLflow server"
        )
    check_share(config, ray_cluster.cluster_resources()["GPU"], "the Ray cluster")


def check_share(config: SweepConfig, gpus: float, where: str) -> None:
    """Raises UserError when a trial is to have more GPUs than there are: it would wait for ever."""
    share = config.resources.gpus_per_trial
    if not isinstance(share, str) and share > gpus:
        raise UserError(f"resources.gpus_per_trial is {share:g}, but {where} has {gpus:g} GPU(s); use auto or less")


class Workers:
    """The machines of a study.

    Args:
        joined: a cluster of somebody's is connected; else there will be one of our own on this machine.
        stack: ends our cluster.
    """

    def __init__(
        self,
        config: SweepConfig,
        joined: bool,
        paths: StudyPaths,
        uploader: Uploader,
        live_table: LiveTable,
        stack: ExitStack,
    ) -> None:
        self._config, self._paths, self._connected = config, paths, joined
        self._uploader, self._live_table, self._stack = uploader, live_table, stack
        self.slots = self._cluster_slots() if joined else self._local_slots()

    def run(self, queue: JobQueue, signals: StopSignals) -> None:
        """Run a queue's jobs.

        Raises:
            StudyInterrupted: the user stopped the study; the running jobs have saved.
        """
        self._connect()
        from sweeps.execution.ray_scheduler import run_jobs

        gc.freeze()  # what is imported stays: each look at it takes a tenth of a second, and a trial may be waiting
        signals.install()
        retries = self._config.resources.retries
        try:
            with signals.patient():
                listeners: list[Listener] = [self._uploader, self._live_table]
                run_jobs(queue, listeners, self.slots, self._paths.ray, self._paths.stop, retries, self._live_table.say)
        finally:
            self._live_table.end()

    def _connect(self) -> None:
        from sweeps.execution import ray_cluster

        if not self._connected:
            # Ray's processes need seconds to start, and Ray Tune's modules to load: both at once.
            name = "sweeps.execution.ray_scheduler"
            loading = threading.Thread(target=importlib.import_module, args=(name,), daemon=True)
            loading.start()
            self._stack.enter_context(ray_cluster.connected(None, self.slots))
            loading.join()
            self._connected = True

    def _local_slots(self) -> Slots:
        from sweeps.execution.ray_cluster import Slots

        asked = self._config.resources
        cores, gpus = os.cpu_count() or 1, torch.cuda.device_count()
        share = _fraction(self._config, self._paths) if gpus else 0.0
        workers = asked.workers or (int(gpus // share) if share >= 1 else gpus * int(1 / share) if share else 1)
        return Slots(max(workers, 1), asked.cpus_per_trial or max(cores // max(workers, 1), 1), share)

    def _cluster_slots(self) -> Slots:
        from sweeps.execution import ray_cluster

        asked, found = self._config.resources, ray_cluster.cluster_resources()
        share = asked.gpus_per_trial
        gpus = (1.0 if found["GPU"] else 0.0) if isinstance(share, str) else share
        cpus = asked.cpus_per_trial or 1
        by_cpu = int(found["CPU"] // cpus)
        workers = asked.workers or max(1, min(by_cpu, int(found["GPU"] / gpus)) if gpus else by_cpu)
        return ray_cluster.Slots(workers, cpus, gpus)


def _fraction(config: SweepConfig, paths: StudyPaths) -> float:
    """GPU share of a trial: as asked for, or 1/n such that n of the largest configuration fit."""
    asked = config.resources.gpus_per_trial
    if not isinstance(asked, str):
        return asked
    measured = read_state(paths.memory, dict[str, int], MADE_AGAIN)
    if measured is None:
        measured = {"peak_bytes": _measure(largest(config), paths)}
        write_atomically(paths.memory, json.dumps(measured))
    peak = measured["peak_bytes"] * _MARGIN + _CONTEXT_BYTES
    total = int(torch.cuda.get_device_properties(0).total_memory) - _CONTEXT_BYTES  # this process has one as well
    return float(1 / max(1, math.floor(total / peak)))


def _measure(train: TrainConfig, paths: StudyPaths) -> int:
    """Peak bytes that PyTorch takes for a short run of a configuration, which has each kind of step once."""
    import tempfile
    from pathlib import Path

    from sweeps.state.record import read_record
    from tsvan.trainer import Trainer

    record = read_record(paths)
    assert record is not None
    short = train.shortest
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    with tempfile.TemporaryDirectory(prefix="tsvan-memory-") as folder:
        trainer = Trainer.open(short, ClipStore.open(record.store), Path(folder), "cuda")
        for _ in trainer.run(short.schedule.total):
            pass
        del trainer
    peak = torch.cuda.max_memory_reserved() - before  # with the gaps: what is allocated alone would not fit
    torch.cuda.empty_cache()
    return peak
