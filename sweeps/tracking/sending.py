"""One run's way to MLflow: what its files hold and MLflow lacks.

Which points have arrived, MLflow alone knows: a driver may die, or a server go away, between a request and its answer.
So it is asked, when a process begins with a run and after every failure, and gets what it lacks. A resumed trial
writes iterations again that were delivered before its death; they are passed over, so every iteration is there once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweeps.state.paths import TrialPaths
from sweeps.tracking.client import BATCH, DataInput, Tracker
from sweeps.tracking.loss_curves import draw_curves
from sweeps.tracking.upload_state import Contents, Item, UploadState, units


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


class Sender:
    """Delivers single runs of a study.

    Args:
        tracker: where to.
        labels: of all its runs.
    """

    def __init__(self, tracker: Tracker, labels: Labels) -> None:
        self._tracker, self._labels = tracker, labels

    def deliver(self, item: Item, parent: str) -> None:
        """Deliver what there is and is lacking there; end the run if its job has ended.

        Args:
            item: a trial.
            parent: the study's run.
        """
        if item.is_delivered(parent):
            return
        ending = item.state  # read before the files: what was written before the end is delivered before it
        contents = item.contents or self._ask(item, parent)
        item.contents = None  # until all of this has arrived, nobody knows what has
        self._deliver_points(item, contents)
        self._deliver_samples(item, contents)
        if ending:
            self._end(item, ending)
        item.contents = contents

    def _ask(self, item: Item, parent: str) -> Contents:
        """What MLflow has of a run, which is made if it is not there."""
        if item.delivery.parent != parent:
            item.delivery = UploadState()  # new, or delivered to another store
        contents = self._tracker.contents(item.delivery.run_id) if item.delivery.described else None
        if contents is None:
            self._begin(item, parent)
            contents = self._tracker.contents(item.delivery.run_id) or Contents()
        item.lines.restart()
        return contents

    def _begin(self, item: Item, parent: str) -> None:
        delivery, tracker = item.delivery, self._tracker
        key = f"{self._labels.study_id}/{item.job.name}"
        tags = {**self._labels.tags, **item.tags, "state": "running"}
        delivery.parent = parent
        delivery.run_id = tracker.run(key, item.name, tags, parent=parent)
        tracker.describe(delivery.run_id, item.params, self._labels.data)
        for file in (item.job.paths.config, item.job.paths.job):
            tracker.artifact(delivery.run_id, file)
        delivery.described = True
        delivery.write(item.job.paths.tracking)

    def _deliver_points(self, item: Item, contents: Contents) -> None:
        new = {(line["kind"], line["iteration"]): line for line in item.lines.new() if contents.lacks(line)}
        for lines, points in units(new.values(), item.job.objectives[0], BATCH):
            self._tracker.points(item.delivery.run_id, points)
            contents.add(lines)

    def _deliver_samples(self, item: Item, contents: Contents) -> None:
        folder, run_id = item.job.paths.samples, item.delivery.run_id
        for file in sorted(folder.glob("iter-*.*")) if folder.exists() else []:
            if file.name not in contents.samples:
                self._tracker.artifact(run_id, file, "samples")
                contents.samples.add(file.name)
            iteration = int(file.stem.removeprefix("iter-"))
            if file.suffix == ".png" and iteration not in contents.pictures:
                self._tracker.image(run_id, file, "samples", iteration)
                contents.pictures.add(iteration)

    def _end(self, item: Item, state: str) -> None:
        delivery, paths, tracker = item.delivery, item.job.paths, self._tracker
        if state != "interrupted":
            for file in _last_files(paths):
                tracker.artifact(delivery.run_id, file)
        tracker.tag(delivery.run_id, {"state": state, **({"reason": item.reason} if item.reason else {})})
        tracker.end(delivery.run_id, state)
        delivery.ended = state
        delivery.write(paths.tracking)
        item.lines.restart()


def _last_files(paths: TrialPaths) -> list[Path]:
    draw_curves(paths.metrics, paths.curves)
    sheets = sorted(paths.samples.glob("iter-*.png")) if paths.samples.exists() else []
    files = [paths.outcome, paths.curves, paths.error, *sheets[-1:]]
    return [file for file in files if file.exists()]
