"""Delivers what the trials wrote to MLflow, from a thread of the driver, in batches, and again after a failure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from sweeps.state.job import Job, Outcome, Point
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.uris import without_secrets
from sweeps.tracking.client import Tracker
from sweeps.tracking.sending import Labels, Sender
from sweeps.tracking.upload_state import Item, Lines, UploadState
from tsvan.validation import first_line

POLL_S = 1.0
YIELD_S = 0.5  # scores of a moment travel together, and a worker that waits is answered first
FIRST_S = 10.0  # MLflow takes seconds to load, and until the first score nobody needs it: the trials start first
LONGEST_WAIT_S = 30.0
PATIENCE_S = 20.0
"""A server that was away for so long is not waited for when the study ends."""


class Uploader:
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
        self._sender = Sender(tracker, labels)
        self._parent = UploadState.read(paths.tracking)
        self._parent_ready = False
        self._items: dict[str, Item] = {}
        self._lock = threading.Lock()
        self._wake, self._hurry, self._closing = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="uploader", daemon=True)
        self._rounds, self._troubled_since = 0, 0.0
        self.problem = ""

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def started(self, job: Job) -> None:
        """A job began or goes on."""
        item = self._item(job)
        if item.delivery.ended:  # interrupted: its run is to run again
            item.delivery.ended, item.delivery.described = "", False
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
        self.ended(job, outcome)

    def register(self, folder: TrialPaths, name: str, checkpoint: Path, tags: Mapping[str, str]) -> str | None:
        """The networks of a run into the model registry, once; it is the champion then, also if another one was since.

        Returns:
            `models:/NAME/VERSION`, or None when the server did not take it.
        """
        with self._lock:
            found = [item.delivery for item in self._items.values() if item.job.paths == folder]
        delivery = found[0] if found else UploadState.read(folder.tracking)
        if delivery.parent != self._parent.run_id or not delivery.run_id:
            return None

        def log() -> None:
            self._tracker.open()
            version = self._tracker.register(delivery.run_id, name, checkpoint, 0, tags)
            delivery.model = f"models:/{name}/{version}"
            delivery.write(folder.tracking)

        self._guarded(log)
        return delivery.model or None

    def settle(self, timeout_s: float) -> list[str]:
        """Deliver what there is, as far as the server takes it in time; one that was away for long gets one chance.

        Returns:
            Names of the jobs that are not wholly delivered.
        """
        deadline, rounds = time.monotonic() + timeout_s, self._rounds
        self._hurry.set()
        while time.monotonic() < deadline and self._undelivered() and self._thread.is_alive():
            if self._rounds > rounds and self.problem and time.monotonic() - self._troubled_since > PATIENCE_S:
                break
            self._wake.set()
            time.sleep(0.01)
        self._hurry.clear()
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
        self._hurry.set()
        self._wake.set()
        self._thread.join(timeout=5)
        if not self._thread.is_alive() and self._parent.run_id and not self.problem:
            self._guarded(lambda: self._tracker.end(self._parent.run_id, state))
        return left

    def finish(self, values: Mapping[str, float], tags: Mapping[str, str], files: list[Path]) -> None:
        """The study's results into the parent run. Called when the thread has delivered, by the driver."""

        def deliver() -> None:
            self._ready()
            run_id, now = self._parent.run_id, int(time.time() * 1000)
            there = self._tracker.values(run_id)
            new = {name: value for name, value in values.items() if there.get(name) != value}
            self._tracker.points(run_id, ((name, value, now, 0) for name, value in new.items()))
            self._tracker.tag(self._parent.run_id, tags)
            for file in files:
                self._tracker.artifact(self._parent.run_id, file)

        self._guarded(deliver)

    @property
    def uri(self) -> str:
        """Of the tracking store."""
        return self._tracker.uri

    @property
    def page(self) -> str:
        """Of the study, behind the address of MLflow's pages, among those for model training; empty without a run."""
        if not self._parent.run_id or not self._tracker.experiment_id:
            return ""
        place = f"experiments/{self._tracker.experiment_id}/runs/{self._parent.run_id}"
        return f"#/{place}?workflowType=machine_learning"

    @property
    def parent_run(self) -> str:
        """Id of the parent run; empty while there is none."""
        return self._parent.run_id

    def _work(self) -> None:
        wait = FIRST_S
        while not self._closing.is_set():
            if self._wake.wait(wait):
                self._hurry.wait(YIELD_S)
            self._wake.clear()
            wait = POLL_S if self._guarded(self._round) else min(wait * 2, LONGEST_WAIT_S)
            self._rounds += 1

    def _guarded(self, action: Callable[[], None]) -> bool:
        """A server that is away or a full disk must not reach the training: kept as `problem`, tried again later."""
        try:
            action()
        except Exception as error:  # MLflow passes on whatever its store or the network raises
            self._troubled_since = self._troubled_since if self.problem else time.monotonic()
            self.problem = without_secrets(first_line(error))
            return False
        self.problem = ""
        return True

    def _round(self) -> None:
        self._ready()
        with self._lock:
            items = list(self._items.values())
        for item in items:
            try:
                self._sender.deliver(item, self._parent.run_id)
            except Exception:
                with self._lock:  # the next round begins with the others
                    if self._items.get(item.job.name) is item:
                        self._items[item.job.name] = self._items.pop(item.job.name)
                raise

    def _ready(self) -> None:
        if self._parent_ready:
            return
        self._tracker.open()
        labels = self._labels
        key = f"{labels.study_id}/parent"
        self._parent = UploadState(self._tracker.run(key, labels.name, {**labels.tags, "stage": "study"}))
        self._tracker.describe(self._parent.run_id, labels.params, labels.data)
        self._tracker.tag(self._parent.run_id, labels.settings)
        self._tracker.artifact(self._parent.run_id, self._paths.config)
        self._parent.write(self._paths.tracking)
        self._parent_ready = True

    def _item(self, job: Job) -> Item:
        name, params, tags = self._describe(job)
        return Item(job, name, params, tags, UploadState.read(job.paths.tracking), Lines(job.paths.metrics))

    def _undelivered(self) -> list[str]:
        with self._lock:
            items = {name: item for name, item in self._items.items() if item.state}
        return [name for name, item in items.items() if not item.is_delivered(self._parent.run_id)]
