"""One run's way to MLflow: what its files hold and MLflow lacks.

Which points have arrived, MLflow alone knows: a driver may die, or a server go away, between a request and its answer.
So it is asked, when a process begins with a run and after every failure, and gets what it lacks. A resumed trial
writes iterations again that were delivered before its death; they are passed over, so every iteration is there once.

To deliver points up to the newest checkpoint only, and to note how far that was, would not spare the question: a
damaged checkpoint is passed over for an older one, whose iterations are then written again; somebody may delete a run;
and studies of before have no such note. And curves would stand still from checkpoint to checkpoint, for hours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from sweeps.state.job import Job
from sweeps.state.paths import TrialPaths
from sweeps.state.place import place_tags, places_in
from sweeps.tracking.client import BATCH, DataInput, Tracker
from sweeps.tracking.contents import Contents
from sweeps.tracking.journal_tail import JournalTail, batches
from sweeps.tracking.loss_curves import draw_curves
from tsvan.files import write_atomically
from tsvan.state_file import read_state


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


@dataclass(frozen=True)
class Ending:
    """How a run ends.

    Args:
        state: that of the job's outcome, or `interrupted`: it goes on another time.
        reason: why it is not complete.
        score: the objective of a completed trial of the sweep; None: it is none.
    """

    state: str
    reason: str = ""
    score: float | None = None


@dataclass(frozen=True)
class UploadState:
    """What is remembered of a run, as in `tracking.json`; what of it is in MLflow, only MLflow knows.

    Args:
        run_id: of the run.
        parent: the study's run when it was made; another one means another store, where nothing is delivered yet.
        described: parameters, data and settings are there.
        ended: state that the run was ended with; all is delivered.
        model: `models:/NAME/VERSION`, if it was registered.
        experiment, model_name: of the study's own run, as `--experiment` and `--model-name` gave them.
    """

    run_id: str = ""
    parent: str = ""
    described: bool = False
    ended: str = ""
    model: str = ""
    experiment: str = ""
    model_name: str = ""

    @classmethod
    def read(cls, path: Path) -> UploadState:
        """Read the state from a file; it is empty when nothing was delivered yet."""
        values = read_state(path, dict[str, Any], "delete it: MLflow is asked what it has") or {}
        return cls(**{item.name: values[item.name] for item in fields(cls) if item.name in values})

    def write(self, path: Path) -> None:
        """Write the state to a file, atomically."""
        write_atomically(path, json.dumps({key: value for key, value in asdict(self).items() if value}))


class RunUpload:
    """A run of a study on its way. The driver says how it ends; the uploader's thread does everything else.

    Args:
        job: whose files are delivered.
        name, params, tags: of its run.
        anew: what was delivered before is not believed: all of the run is looked at again.
    """

    def __init__(
        self, job: Job, name: str, params: Mapping[str, Any], tags: Mapping[str, str], *, anew: bool = False
    ) -> None:
        self.job, self._name, self._params, self._tags = job, name, params, tags
        self.ending: Ending | None = None
        self.state = UploadState.read(job.paths.tracking)
        if anew:
            self.state = replace(self.state, ended="", described=False)
        self._lines = JournalTail(job.paths.metrics)
        self._contents: Contents | None = None  # None: MLflow must be asked what it has

    def is_delivered(self, parent: str) -> bool:
        """Tell whether all is there and the run has ended, below the study's run `parent`."""
        ending = self.ending
        return ending is not None and self.state.parent == parent and self.state.ended == ending.state

    def deliver(self, tracker: Tracker, labels: Labels, parent: str) -> None:
        """Deliver what there is and is lacking there; end the run if its job has ended.

        Args:
            parent: the study's run.
        """
        if self.is_delivered(parent):
            return
        ending = self.ending  # read before the files: what was written before the end is delivered before it
        if ending is None and self.state.ended:  # it goes on: its run is to run again
            self.state = replace(self.state, ended="", described=False)
            self._contents = None
        contents = self._contents or self._ask(tracker, labels, parent)
        self._contents = None  # until all of this has arrived, nobody knows what has
        if ending is not None:
            self._lines.open_again()
        self._deliver_points(tracker, contents)
        self._deliver_samples(tracker, contents)
        if ending is None:
            self._contents = contents
        else:
            self._end(tracker, ending)

    def _ask(self, tracker: Tracker, labels: Labels, parent: str) -> Contents:
        """Return what MLflow has of the run, which is made if it is not there."""
        if self.state.parent != parent:
            self.state = UploadState()  # new, or delivered to another store
        contents = tracker.contents(self.state.run_id) if self.state.described else None
        if contents is None:
            self._begin(tracker, labels, parent)
            contents = tracker.contents(self.state.run_id) or Contents()
        self._lines.restart()
        return contents

    def _begin(self, tracker: Tracker, labels: Labels, parent: str) -> None:
        key = f"{labels.study_id}/{self.job.name}"
        tags = {**labels.tags, **self._tags, "state": "running"}
        run_id = tracker.run(key, self._name, tags, parent, known=self.state.run_id)
        tracker.describe(run_id, self._params, labels.data)
        for file in (self.job.paths.config, self.job.paths.job):
            tracker.artifact(run_id, file)
        self.state = replace(self.state, run_id=run_id, parent=parent, described=True)
        self.state.write(self.job.paths.tracking)

    def _deliver_points(self, tracker: Tracker, contents: Contents) -> None:
        new = {(line["kind"], line["iteration"]): line for line in self._lines.new() if contents.lacks(line)}
        if places := places_in(new.values()):
            tracker.tag(self.state.run_id, place_tags(places[-1]))
        for lines, points in batches(new.values(), self.job.objectives[0], BATCH):
            tracker.points(self.state.run_id, points)
            contents.add(lines)

    def _deliver_samples(self, tracker: Tracker, contents: Contents) -> None:
        folder, run_id = self.job.paths.samples, self.state.run_id
        for file in sorted(folder.glob("iter-*.*")) if folder.exists() else []:
            if file.name not in contents.samples:
                tracker.artifact(run_id, file, "samples")
                contents.samples.add(file.name)
            iteration = int(file.stem.removeprefix("iter-"))
            if file.suffix == ".png" and iteration not in contents.pictures:
                tracker.image(run_id, file, "samples", iteration)
                contents.pictures.add(iteration)

    def _end(self, tracker: Tracker, ending: Ending) -> None:
        paths, run_id = self.job.paths, self.state.run_id
        if ending.state != "interrupted":
            for file in _last_files(paths):
                tracker.artifact(run_id, file)
        tracker.tag(run_id, {"state": ending.state, **({"reason": ending.reason} if ending.reason else {})})
        tracker.end(run_id, ending.state)
        self.state = replace(self.state, ended=ending.state)
        self.state.write(paths.tracking)
        self._lines.restart()

    def note_model(self, model: str) -> None:
        """Remember that its networks are registered as `models:/NAME/VERSION`."""
        self.state = replace(self.state, model=model)
        self.state.write(self.job.paths.tracking)


def _last_files(paths: TrialPaths) -> list[Path]:
    draw_curves(paths.metrics, paths.curves)
    sheets = sorted(paths.samples.glob("iter-*.png")) if paths.samples.exists() else []
    files = [paths.outcome, paths.curves, paths.error, *sheets[-1:]]
    return [file for file in files if file.exists()]
