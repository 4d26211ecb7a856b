"""The one thread that speaks with MLflow. Training never waits for it.

The driver says what happens to the runs and never waits; what it wants to have an answer to (the results, the
registered model) it puts into the thread's queue as a request. The thread goes round: the study's own run, all runs
with something new, the requests. What MLflow did not take stays where it is, and is tried again in the next round.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from sweeps.config.schema import Objective
from sweeps.state.job import Job, Outcome, Point
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.tracking.client import Tracker
from sweeps.tracking.model_registry import ModelCard, register
from sweeps.tracking.run_upload import Ending, Labels, RunUpload, UploadState
from sweeps.tracking.upload_thread import Task, UploadThread
from tsvan.validation import UserError

THE_STUDY, THE_END = "the study's run", "the study's end"
BEST = "score"
"""Metric of the study's run: the best score so far by the number of completed trials."""


class Uploader:
    """Looks on at a study and delivers it. A Listener of `run_jobs`.

    Args:
        tracker: where to; nobody else uses it.
        paths: of the study.
        labels: of all its runs.
        describe: job -> (run name, parameters, tags).
        objective: which score is better.
        model_name: that the winner is to be registered by.
        say: told, in a line and by the driver's own thread, about trouble that does not pass soon.
    """

    def __init__(
        self,
        tracker: Tracker,
        paths: StudyPaths,
        labels: Labels,
        describe: Callable[[Job], tuple[str, Mapping[str, Any], Mapping[str, str]]],
        objective: Objective,
        model_name: str = "",
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._tracker, self._paths, self._labels, self._describe = tracker, paths, labels, describe
        self._objective, self.model_name, self._say = objective, model_name, say
        self._parent = UploadState.read(paths.tracking)
        self._parent_ready, self._parent_doubted = False, False
        self._runs: dict[str, RunUpload] = {}
        self._due: dict[str, RunUpload] = {}  # those of them that may lack something
        self._lock = threading.Lock()  # of the runs
        self._said = ""
        self._scores: dict[str, float] = {}
        self._curve = 0
        self._thread = UploadThread(self._tasks, THE_STUDY, self._failed, tracker.uri)

    # What happens to runs: said by the driver, which never waits.
    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def started(self, job: Job) -> None:
        """Take a job that began or goes on."""
        self._note(job, None)
        self._tell()

    def scored(self, job: Job, point: Point) -> None:
        """Deliver a job's new points soon."""
        self._thread.wake()
        self._tell()

    def ended(self, job: Job, outcome: Outcome) -> None:
        """End a job's run when all of it is delivered."""
        counts = outcome.state == "complete" and job.stage == "sweep"
        score = outcome.values.get(self._objective.metric) if counts else None
        self._note(job, Ending(outcome.state, outcome.reason, score))
        self._thread.wake()
        self._tell()

    def catch_up(self, job: Job, outcome: Outcome | None, *, anew: bool = False) -> None:
        """Take a job of an earlier process: deliver what that one could not.

        Args:
            outcome: how it ended; None: it has not ended, and its run ends as interrupted when this uploader closes.
            anew: look at all of its run again, also at what is noted as delivered.
        """
        self._note(job, None, anew=anew)
        self.started(job) if outcome is None else self.ended(job, outcome)

    # What the driver waits for.
    def open(self, timeout_s: float = 60.0) -> None:
        """Make sure that the study's run can be written, before its first trial.

        Raises:
            UserError: MLflow refuses, and will refuse tomorrow.
        """
        self._thread.ask(THE_STUDY, lambda: None, timeout_s)
        lasting = [found for found in self._thread.troubles.values() if not found.passes]
        if lasting:
            raise UserError(f"MLflow: {lasting[0].text}")

    def register(self, folder: TrialPaths, checkpoint: Path, card: ModelCard, timeout_s: float = 60.0) -> str | None:
        """Put the networks of a run into the model registry, once; it is the champion then, also if another one was.

        Returns:
            `models:/NAME/VERSION`; None: MLflow has not taken it by now, but may still.
        """

        def log() -> str:
            run = next((found for found in self._all_runs() if found.job.paths == folder), None)
            if run is None or not run.is_delivered(self._parent.run_id):
                raise UserError(f"the run of {folder.folder.name} is not delivered, so that its model has no place")
            version = register(self._tracker, run.state.run_id, checkpoint, card)
            run.note_model(f"models:/{card.name}/{version}")
            return run.state.model

        found: str | None = self._thread.ask("the model", log, timeout_s)
        return found or next((run.state.model for run in self._all_runs() if run.job.paths == folder), None) or None

    def finish(
        self, values: Mapping[str, float], tags: Mapping[str, str], files: list[Path], timeout_s: float = 60.0
    ) -> bool:
        """Put the study's results into its run.

        Returns:
            Whether MLflow has taken them by now.
        """

        def deliver() -> bool:
            run_id, now = self._parent.run_id, int(time.time() * 1000)
            there = self._tracker.values(run_id)
            new = {name: value for name, value in values.items() if there.get(name) != value}
            self._tracker.points(run_id, ((name, value, now, 0) for name, value in new.items()))
            self._tracker.tag(run_id, tags)
            for file in files:
                self._tracker.artifact(run_id, file)
            return True

        return bool(self._thread.ask("the results", deliver, timeout_s))

    def settle(self, timeout_s: float) -> list[str]:
        """Deliver what there is, as far as MLflow takes it in time; a server that was away for long gets one chance.

        Returns:
            Names of the jobs, and of the requests, that are not wholly delivered.
        """
        self._thread.wait(lambda: not self._undelivered() and not self._thread.troubles, timeout_s)
        return self._undelivered()

    def close(self, state: Literal["complete", "failed", "interrupted"], timeout_s: float = 30.0) -> list[str]:
        """Deliver the rest and end the runs; what is still running was interrupted.

        Returns:
            Names of the jobs, and of the requests, that are not wholly delivered.
        """
        for run in self._all_runs():
            run.ending = run.ending or Ending("interrupted")
        if self._parent_ready or self._all_runs() or self._thread.waiting:
            self._thread.ask_last(THE_END, lambda: self._tracker.end(self._parent.run_id, state))
        left = self.settle(timeout_s)
        self._thread.stop()
        return left

    # What it says of itself.
    def missing(self, left: list[str]) -> list[str]:
        """Return the lines that end a study of which MLflow lacks something; none if it has everything.

        Args:
            left: as `close` returned it.
        """
        if not left and not self.problem:
            return []
        passes = all(found.passes for found in self._thread.troubles.values())
        way = "again delivers them" if passes else "delivers them when MLflow takes them"
        return [
            f"not delivered to MLflow ({self.problem or 'too slow'}): {', '.join(left) or 'results'}",
            f"  the files are kept; the same command {way}",
        ]

    @property
    def problem(self) -> str:
        """Return what MLflow did not take and why, in a line; empty: nothing is known to be wrong."""
        return next((found.text for found in self._thread.troubles.values()), "")

    @property
    def uri(self) -> str:
        """Return the address of the tracking store."""
        return self._tracker.uri

    @property
    def page(self) -> str:
        """Return where the study is on MLflow's pages, among those for model training; empty without a run."""
        place = f"experiments/{self._tracker.experiment_id}/runs/{self._parent.run_id}"
        there = self._parent.run_id and self._tracker.experiment_id
        return f"#/{place}?workflowType=machine_learning" if there else ""

    @property
    def parent_run(self) -> str:
        """Return the id of the study's run; empty while there is none."""
        return self._parent.run_id

    # The driver's side.
    def _note(self, job: Job, ending: Ending | None, *, anew: bool = False) -> None:
        with self._lock:
            if anew or job.name not in self._runs:
                self._runs[job.name] = RunUpload(job, *self._describe(job), anew=anew)
            run = self._due[job.name] = self._runs[job.name]
            run.ending = ending

    def _all_runs(self, of: dict[str, RunUpload] | None = None) -> list[RunUpload]:
        with self._lock:
            return list((self._runs if of is None else of).values())

    def _undelivered(self) -> list[str]:
        parent = self._parent.run_id
        runs = [run.job.name for run in self._all_runs() if run.ending is not None and not run.is_delivered(parent)]
        left = [*runs, *self._thread.waiting]
        return [name for name in left if name != THE_END] or left  # which waits for the others

    def _tell(self) -> None:
        """Say a trouble that does not pass soon, and its end, while the study runs."""
        problems, away = self._thread.troubles, self._thread.is_away
        line = ""
        for what, found in problems.items():
            if not found.passes:
                line = f"MLflow refuses {what}: {found.text}; the trials go on without it"
                break
            if away:
                line = f"MLflow is away: {found.text}; the trials go on, and what they write is delivered later"
        if line and line != self._said:
            self._say(line)
        elif self._said and not problems:
            self._say("MLflow has everything again")
        elif problems:
            return
        self._said = line

    # The thread's side: only this speaks with MLflow.

    def _tasks(self) -> Iterator[Task]:
        yield THE_STUDY, self._ready
        for run in self._all_runs(self._due):
            yield run.job.name, lambda run=run: self._deliver(run)  # type: ignore[misc]
        yield BEST, self._deliver_best

    def _failed(self, name: str) -> None:
        """Begin the next round with the others, and doubt the study's run: somebody may have deleted it."""
        self._parent_doubted = True
        with self._lock:
            if name in self._due:
                self._due[name] = self._due.pop(name)

    def _ready(self) -> None:
        tracker, labels = self._tracker, self._labels
        if self._parent_ready and (not self._parent_doubted or tracker.is_there(self._parent.run_id)):
            self._parent_doubted = False
            return
        tracker.open()
        tags = {**labels.tags, "stage": "study"}
        run_id = tracker.run(f"{labels.study_id}/parent", labels.name, tags, known=self._parent.run_id)
        tracker.describe(run_id, labels.params, labels.data)
        tracker.tag(run_id, labels.settings)
        tracker.artifact(run_id, self._paths.config)
        self._curve = len(tracker.steps(run_id, BEST))
        self._parent = UploadState(run_id=run_id, experiment=tracker.experiment, model_name=self.model_name)
        self._parent.write(self._paths.tracking)
        self._parent_ready, self._parent_doubted = True, False
        with self._lock:  # another run than before has none of them
            self._due = dict(self._runs)

    def _deliver(self, run: RunUpload) -> None:
        run.deliver(self._tracker, self._labels, self._parent.run_id)
        with self._lock:
            ending = run.ending
            if ending is None or not run.is_delivered(self._parent.run_id):
                return
            self._due.pop(run.job.name, None)
        if ending.score is not None:
            self._scores[run.job.name] = ending.score

    def _deliver_best(self) -> None:
        """Deliver the new points of the curve, which has one for every completed trial.

        A trial that was told of before has its point by now.
        """
        scores = list(self._scores.values())
        for step in range(self._curve + 1, len(scores) + 1):
            best = self._objective.best(scores[:step], float)
            assert best is not None
            self._tracker.points(self._parent.run_id, [(BEST, best, int(time.time() * 1000), step)])
            self._curve = step
