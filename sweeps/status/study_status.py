"""How a study stands: every run by its own files, by Optuna and by MLflow, and where they disagree. Looks only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from sweeps.config.schema import SweepConfig
from sweeps.config.space import describe
from sweeps.search.recorded_trials import RecordedTrial, recorded_trials
from sweeps.search.storage import trial_numbers
from sweeps.state.hours import PlannedHours
from sweeps.state.job import Job, Outcome, read_job, scored_points
from sweeps.state.lock import driver_of
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.place import places_in
from sweeps.state.record import StudyRecord, original
from sweeps.state.uris import shown_uri
from sweeps.status.consistency import UNKNOWN, by_mlflow, by_optuna, points_missing
from sweeps.status.damage import damage_lines, lost_in
from sweeps.status.instructions import Instructions, instructions
from sweeps.status.stage import changed_at, seconds_left
from sweeps.tracking.client import STATUS
from sweeps.tracking.destination import Destination
from sweeps.tracking.reader import NotTold, TrackedRun, tracked_runs
from tsvan.checkpoint_files import list_checkpoints
from tsvan.config import TrainConfig
from tsvan.journal import Journal
from tsvan.state_file import read_text
from tsvan.validation import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class RunStatus:
    """A trial or a rerun of the final stage.

    Args:
        name: of its job.
        number: of the trial, or of the seed.
        settings: in a few characters.
        iteration: done, or of the last line in its journal.
        total: iterations of a full run.
        checkpoint: iteration from which it would go on; None: there is no checkpoint.
        score: the objective at its last score.
        state: by its files: `complete`, `pruned`, `diverged`, `failed`; without an end `running`, or with no driver
            alive `interrupted` (goes on) or `not begun` (no checkpoint: starts again).
        optuna: state there; None: Optuna has nothing to do with it; `?`: can't be asked.
        mlflow: state there; None: it has no run; `?`: can't be asked.
        problems: where they disagree, in words.
        notes: what its workers noted for people.
        lost: what is missing or damaged in its folder, in words.
        places: where it was at work, the last one last: node, device and threads.
    """

    name: str
    number: int
    settings: str
    iteration: int
    total: int
    checkpoint: int | None
    score: float | None
    state: str
    optuna: str | None
    mlflow: str | None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class StudyStatus:
    """How a study stands.

    Args:
        folder: its own.
        dataset, preset, study_id: from `study.yaml`.
        stage: `scorer`, `calibrate`, `sweep`, `final`, `report` or `done`.
        driver: process id of the driver at work; None: there is none.
        asked: trials that the study is to have, those that users added among them.
        best: name of the best complete trial; None: there is none yet.
        left_s: until the stage at work ends, by what the driver has done so far; None: not known.
        trials: of the sweep, by number.
        final: reruns.
        parent: state of the study's own MLflow run; None: there is none.
        mlflow_uri: without secrets.
        mlflow_problem: why MLflow can't be asked; else empty.
        problems: of the study as a whole.
        damaged: lines about state files that can't be read.
        instructions: what users asked while it runs.
    """

    folder: str
    dataset: str
    preset: str
    study_id: str
    stage: str
    driver: str | None
    asked: int
    best: str | None
    left_s: float | None
    trials: list[RunStatus]
    final: list[RunStatus]
    parent: str | None
    mlflow_uri: str
    mlflow_problem: str
    problems: list[str]
    damaged: list[str]
    instructions: Instructions

    @property
    def disagree(self) -> int:
        """Count the runs, and the study itself, of which different things are said."""
        return sum(bool(run.problems) for run in (*self.trials, *self.final)) + len(self.problems)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as `status --json` prints them."""
        agree = self.disagree == 0 and not self.damaged and not any(run.lost for run in (*self.trials, *self.final))
        return {**asdict(self), "disagree": self.disagree, "agree": agree}


def study_status(
    paths: StudyPaths, record: StudyRecord, config: SweepConfig, where: Destination, *, ours: bool = False
) -> StudyStatus:
    """Look at all that is known of a study: its files, Optuna and MLflow.

    Args:
        ours: the study's lock is held by this process, which is no driver.
    """
    driver = None if ours else driver_of(paths)
    optuna, problems = recorded_trials(paths)
    runs, problem = _asked_mlflow(where, record)
    if (other := original(record, paths)) is not None:
        runs, problem = None, f"this is a copy of {other}, whose runs those are; when it goes on it gets its own"
    numbers = sorted({*trial_numbers(paths), *(optuna or {})})
    trials = [
        _run(
            f"trials/{number:03d}",
            number,
            paths.trial(number),
            config,
            driver is not None,
            None if optuna is None else optuna.get(number, UNKNOWN),
            runs,
            record,
        )
        for number in numbers
    ]
    finals = [
        _run(f"final/{folder.name}", -1, TrialPaths(folder), config, driver is not None, "", runs, record)
        for folder in sorted(paths.root.glob("final/*"))
        if (folder / "job.json").exists()
    ]
    told = instructions(paths)
    asked = max(config.trials, len(trials) - told.begun) + told.added
    hours = _kept(lambda: PlannedHours.read(paths))
    if hours is not None and hours.over:
        asked = len(trials)
    parent = next(iter((runs or {}).get(f"{record.study_id}/parent", [])), None)
    if parent is not None and parent.status == "RUNNING" and driver is None:
        problems.append("the study's MLflow run is open, and no driver is alive")
    return StudyStatus(
        folder=str(paths.root),
        dataset=config.dataset,
        preset=config.preset,
        study_id=record.study_id,
        stage=_stage(paths, asked, trials, finals),
        driver=driver,
        asked=asked,
        best=_best(trials, config),
        left_s=None if driver is None else seconds_left(paths),
        trials=trials,
        final=finals,
        parent=None if parent is None else parent.status.lower(),
        mlflow_uri=shown_uri(where.uri),
        mlflow_problem=problem,
        problems=problems,
        damaged=damage_lines(paths, where.uri),
        instructions=told,
    )


def _best(trials: list[RunStatus], config: SweepConfig) -> str | None:
    scores = {run.name: run.score for run in trials if run.state == "complete" and run.score is not None}
    return config.objective.best(scores, lambda name: scores[name])


def _kept(read: Callable[[], T | None]) -> T | None:
    """Return what a file holds; None: nothing that can be read, of which `damaged` tells."""
    try:
        return read()
    except UserError:
        return None


def _asked_mlflow(where: Destination, record: StudyRecord) -> tuple[dict[str, list[TrackedRun]] | None, str]:
    try:
        found = tracked_runs(where.uri, where.experiment, record.study_id)
    except NotTold as error:
        return None, str(error)
    runs: dict[str, list[TrackedRun]] = {}
    for run in found:
        runs.setdefault(run.key, []).append(run)
    return runs, ""


def _run(
    name: str,
    number: int,
    folder: TrialPaths,
    config: SweepConfig,
    alive: bool,
    trial: RecordedTrial | str | None,
    runs: dict[str, list[TrackedRun]] | None,
    record: StudyRecord,
) -> RunStatus:
    """Gather how one run stands.

    Args:
        trial: as Optuna holds it; `?`: Optuna does not know it; None: Optuna can't be asked; empty: not Optuna's.
    """
    job, outcome = _kept(lambda: read_job(folder)), _kept(lambda: Outcome.read(folder))
    lines = list(Journal(folder.metrics).lines())
    points = [p for p in scored_points(Journal(folder.metrics)) if config.objective.metric in p.values]
    saved = [file.name.partition(".")[0] for file in list_checkpoints(folder.checkpoints)]
    checkpoint = max((int(text) for text in saved if text.isdecimal()), default=None)
    if outcome is not None:
        state: str = outcome.state
    elif alive:
        state = "running"
    else:
        state = "interrupted" if checkpoint is not None or points else "not begun"
    optuna, problems = by_optuna(trial, outcome, alive)
    own = None if runs is None else runs.get(f"{record.study_id}/{name}", [])
    mlflow = None if own is None else by_mlflow(own, outcome, alive)
    if own is not None and mlflow is not None:
        problems += mlflow[1]
        if outcome is not None and not alive:
            problems += points_missing([p.iteration for p in points], own)
    last = lines[-1]["iteration"] if lines else 0
    score = (outcome.values if outcome and outcome.values else points[-1].values if points else {}).get(
        config.objective.metric
    )
    return RunStatus(
        name=name,
        number=job.number if job is not None else number,
        settings=_settings(job),
        iteration=outcome.iteration if outcome is not None else last if alive else checkpoint or 0,
        total=job.save_at[-1] if job is not None else config.base.schedule.total,
        checkpoint=checkpoint,
        score=score,
        state=state,
        optuna=optuna,
        mlflow=UNKNOWN if mlflow is None else mlflow[0],
        problems=problems,
        notes=read_text(folder.notes).splitlines(),
        lost=lost_in(folder, outcome, bool(lines), checkpoint, alive),
        places=[str(place) for place in places_in(lines)],
    )


def _settings(job: Job | None) -> str:
    config = None if job is None else _kept(lambda: TrainConfig.from_dict(job.config))
    return "" if config is None else describe(config)


def _stage(paths: StudyPaths, asked: int, trials: list[RunStatus], finals: list[RunStatus]) -> str:
    """Name the stage that is at work, or would be."""
    if not paths.scorer_result.exists():
        return "scorer"
    calibration = [run for run in finals if run.name.startswith("final/calibrate-")]
    finals = [run for run in finals if run not in calibration]
    if not trials and any(run.state not in STATUS or run.state == "interrupted" for run in calibration):
        return "calibrate"
    ended = [run for run in (*trials, *finals) if run.state in STATUS and run.state != "interrupted"]
    if (trials or not finals) and sum(run in ended for run in trials) < asked:
        return "sweep"
    newest = max((changed_at(paths.root / run.name / "outcome.json") for run in ended), default=0.0)
    if all(run in ended for run in finals) and paths.summary.exists() and changed_at(paths.summary) >= newest:
        return "done"
    return "report" if finals and all(run in ended for run in finals) and paths.final_result.exists() else "final"
