"""Delivers what the trials wrote to MLflow, from a thread of the driver, in batches, and again after a failure.

How far it came is in each folder's `tracking.json`: losses and scores up to and with an iteration are there. A resumed
trial writes iterations again that were delivered before its death; they are passed over, so every iteration is there
once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sweeps.curves import draw_curves
from sweeps.delivery import SCORE_PREFIX, Delivery, Item, new_lines
from sweeps.job import SCORE, Job, Outcome, Point
from sweeps.paths import StudyPaths, TrialPaths
from sweeps.tracking import DataInput, Tracker, without_secrets

POLL_S = 1.0
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True)
class Labels:
    """What every run of a study carries.

    Args:
        study_id: unique for ever; the keys of runs begin with it.
        name: of the study.
        tags: on the parent and on all children.
        params: of the parent; MLflow never lets them change.
        settings: tags of the parent, which may differ when a study goes on (number of trials, resources, final stage).
        data: the clip store.
    """

    study_id: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, Any]
    settings: Mapping[str, str]
    data: DataInput


class Shipper:
    """Looks on at a study and delivers; training never waits for it. A Listener of `cluster.run_jobs`.

    Args:
        tracker: where to.
        paths: of the study.
        labels: of all its runs.
        describe: job -> (run name, parameters, tags).
    """

    def __init__(
        self,
        tracker: Tracker,
        paths: StudyPaths,
        labels: Labels,
        describe: Callable[[Job], tuple[str, Mapping[str, Any], Mapping[str, str]]],
    ) -> None:
        self._tracker, self._paths, self._labels, self._describe = tracker, paths, labels, describe
        self._parent = Delivery.read(paths.tracking)
        self._parent_ready = False
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()
        self._wake, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="shipper", daemon=True)
        self.trouble = ""

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def started(self, job: Job) -> None:
        """A job began or goes on."""
        item = self._item(job)
        if item.delivery.ended == "interrupted":
            item.delivery.ended = ""
        with self._lock:
            self._items[job.name] = item

    def scored(self, job: Job, point: Point) -> None:
        """Deliver soon."""
        self._wake.set()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A job ended; its run ends when all is delivered."""
        with self._lock:
            item = self._items.setdefault(job.name, self._item(job))
            item.state, item.reason = outcome.state, outcome.reason
        self._wake.set()

    def catch_up(self, job: Job, outcome: Outcome) -> None:
        """A job that ended in an earlier process: deliver what that one could not."""
        if Delivery.read(job.paths.tracking).ended != outcome.state:
            self.ended(job, outcome)

    def register(self, folder: TrialPaths, name: str, checkpoint: Path, tags: Mapping[str, str]) -> str | None:
        """The networks of a run into the model registry, once.

        Returns:
            `models:/NAME/VERSION`, or None when the server did not take it.
        """
        delivery = Delivery.read(folder.tracking)
        if delivery.model or not delivery.run_id:
            return delivery.model or None

        def log() -> None:
            self._tracker.open()
            version = self._tracker.register(delivery.run_id, name, checkpoint, 0, tags)
            delivery.model = f"models:/{name}/{version}"
            delivery.write(folder.tracking)

        self._guarded(log)
        return delivery.model or None

    def settle(self, timeout_s: float) -> list[str]:
        """Deliver what there is, as far as the server takes it in time.

        Returns:
            Names of the jobs that are not wholly delivered.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline and self._undelivered() and self._thread.is_alive():
            self._wake.set()
            time.sleep(0.05)
        return self._undelivered()

    def close(self, state: Literal["complete", "failed", "interrupted"], timeout_s: float = 30.0) -> list[str]:
        """Deliver the rest and end the runs; what is still running was interrupted.

        Returns:
            Names of the jobs that are not wholly delivered; the same command again delivers them.
        """
        with self._lock:
            for item in self._items.values():
                item.state = item.state or "interrupted"
        left = self.settle(timeout_s)
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout=5)
        if not self._thread.is_alive() and self._parent.run_id and not self.trouble:
            self._guarded(lambda: self._tracker.end(self._parent.run_id, state))
        return left

    def finish(self, values: Mapping[str, float], tags: Mapping[str, str], files: list[Path]) -> None:
        """The study's results into the parent run. Called when the thread has delivered, by the driver."""

        def deliver() -> None:
            self._ready()
            # The time of the result, not of the delivery: the same result delivered again is the same point.
            result = self._paths.final_result
            when = int((result.stat().st_mtime if result.exists() else time.time()) * 1000)
            self._tracker.points(self._parent.run_id, ((name, value, when, 0) for name, value in values.items()))
            self._tracker.tag(self._parent.run_id, tags)
            for file in files:
                self._tracker.artifact(self._parent.run_id, file)

        self._guarded(deliver)

    @property
    def parent_run(self) -> str:
        """Id of the parent run; empty while there is none."""
        return self._parent.run_id

    def _work(self) -> None:
        wait = POLL_S
        while not self._closing.is_set():
            self._wake.wait(wait)
            self._wake.clear()
            wait = POLL_S if self._guarded(self._round) else min(wait * 2, LONGEST_WAIT_S)

    def _guarded(self, action: Callable[[], None]) -> bool:
        """A server that is away or a full disk must not reach the training: kept as `trouble`, tried again later."""
        try:
            action()
        except Exception as error:  # MLflow passes on whatever its store or the network raises
            self.trouble = without_secrets(" ".join(str(error).split()))[:300] or type(error).__name__
            return False
        self.trouble = ""
        return True

    def _round(self) -> None:
        self._ready()
        with self._lock:
            items = list(self._items.values())
        for item in items:
            self._deliver(item)

    def _ready(self) -> None:
        if self._parent_ready:
            return
        self._tracker.open()
        labels = self._labels
        key = f"{labels.study_id}/parent"
        self._parent.run_id = self._tracker.run(key, labels.name, {**labels.tags, "stage": "study"})
        self._tracker.describe(self._parent.run_id, labels.params, labels.data)
        self._tracker.tag(self._parent.run_id, labels.settings)
        self._tracker.artifact(self._parent.run_id, self._paths.config)
        self._parent.write(self._paths.tracking)
        self._parent_ready = True

    def _deliver(self, item: Item) -> None:
        delivery, paths = item.delivery, item.job.paths
        if delivery.ended and delivery.ended == item.state:
            return
        ending = item.state  # read before the files: what was written before the end is delivered before it
        if not delivery.described:
            self._begin(item)
        self._deliver_points(item)
        for file in sorted(paths.samples.glob("iter-*.*")) if paths.samples.exists() else []:
            self._deliver_sample(item, file)
        if ending:
            self._end(item, ending)

    def _begin(self, item: Item) -> None:
        delivery, tracker = item.delivery, self._tracker
        key = f"{self._labels.study_id}/{item.job.name}"
        tags = {**self._labels.tags, **item.tags, "state": "running"}
        delivery.run_id = tracker.run(key, item.name, tags, parent=self._parent.run_id)
        tracker.describe(delivery.run_id, item.params, self._labels.data)
        for file in (item.job.paths.config, item.job.paths.job):
            tracker.artifact(delivery.run_id, file)
        delivery.described = True
        delivery.write(item.job.paths.tracking)

    def _deliver_points(self, item: Item) -> None:
        delivery, path = item.delivery, item.job.paths.tracking
        if delivery.sending:
            delivery.arrived(self._tracker.last_steps(delivery.run_id))
        lines = new_lines(item)
        points = []
        shipped = dict(delivery.shipped)
        for line in lines:
            kind, iteration = line["kind"], line["iteration"]
            if iteration <= shipped.get(kind, 0):
                continue
            shipped[kind] = iteration
            prefix = f"{SCORE_PREFIX}/" if kind == SCORE else ""
            values = {f"{prefix}{name}": value for name, value in line["values"].items()}
            if kind == SCORE and item.job.objectives[0] in line["values"]:
                values[SCORE_PREFIX] = line["values"][item.job.objectives[0]]
            points += [(name, value, line["time_ms"], iteration) for name, value in values.items()]
        if not points:
            return
        try:
            delivery.sending = shipped
            delivery.write(path)
            self._tracker.points(delivery.run_id, points)
        except Exception:
            item.inode, delivery.sending = 0, {}  # the same lines again next time; points that come twice are one
            raise
        delivery.shipped, delivery.sending = shipped, {}
        delivery.write(path)

    def _deliver_sample(self, item: Item, file: Path) -> None:
        if file.name in item.delivery.files:
            return
        self._tracker.artifact(item.delivery.run_id, file, "samples")
        if file.suffix == ".png":
            self._tracker.image(item.delivery.run_id, file, "samples", int(file.stem.removeprefix("iter-")))
        item.delivery.files.append(file.name)
        item.delivery.write(item.job.paths.tracking)

    def _end(self, item: Item, state: str) -> None:
        delivery, paths, tracker = item.delivery, item.job.paths, self._tracker
        if state != "interrupted":
            for file in _last_files(paths):
                tracker.artifact(delivery.run_id, file)
        tracker.tag(delivery.run_id, {"state": state, **({"reason": item.reason} if item.reason else {})})
        tracker.end(delivery.run_id, state)
        delivery.ended = state
        delivery.described = state != "interrupted"  # going on sets the run to running again
        delivery.write(paths.tracking)

    def _item(self, job: Job) -> Item:
        name, params, tags = self._describe(job)
        return Item(job, name, params, tags, Delivery.read(job.paths.tracking))

    def _undelivered(self) -> list[str]:
        with self._lock:
            return [name for name, item in self._items.items() if item.state and item.delivery.ended != item.state]


def _last_files(paths: TrialPaths) -> list[Path]:
    draw_curves(paths.metrics, paths.curves)
    sheets = sorted(paths.samples.glob("iter-*.png")) if paths.samples.exists() else []
    files = [paths.outcome, paths.curves, paths.error, *sheets[-1:]]
    return [file for file in files if file.exists()]
