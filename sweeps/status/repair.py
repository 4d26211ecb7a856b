"""`status --repair`: bring Optuna and MLflow to what the study's own files say, without Ray and without training."""

from __future__ import annotations

import os

from sweeps.config.schema import SweepConfig
from sweeps.data import moved_store
from sweeps.search.lost_outcomes import restore_outcomes
from sweeps.search.storage import has_study, is_sound, make_database, open_study, place_of
from sweeps.search.trial_queue import reconcile
from sweeps.state.job import MENDED, Outcome, read_job
from sweeps.state.lock import only_driver
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.record import StudyRecord, original
from sweeps.state.retention import remove_leftovers
from sweeps.state.scorer_result import ScorerResult
from sweeps.status.damage import set_damaged_aside
from sweeps.status.study_status import RunStatus, study_status
from sweeps.tracking.destination import Destination
from sweeps.tracking.run_metadata import make_uploader
from sweeps.tracking.uploader import Uploader
from tsvan.data.store import ClipStore
from tsvan.state_file import read_state
from tsvan.terminal import counted
from tsvan.validation import UserError

_TIMEOUT_S = 120.0


def repair(paths: StudyPaths, record: StudyRecord, config: SweepConfig, where: Destination) -> list[str]:
    """Mend what a crash left.

    Returns:
        What was mended, a line each; empty: nothing was to mend.

    Raises:
        UserError: a driver works on the study.
    """
    if (other := original(record, paths)) is not None:
        raise UserError(f"{paths.root} is a copy of {other}; go on with it by its own command, which gives it own runs")
    with only_driver(paths):
        done = [*_leftovers(paths), *set_damaged_aside(paths), *_database(paths, config), *_optuna(paths, config)]
        return [*done, *_mlflow(paths, record, config, where)]


def _leftovers(paths: StudyPaths) -> list[str]:
    count, size = remove_leftovers(paths)
    return [f"removed {counted(count, 'half-written file')}, {size / 2**20:.1f} MiB"] if count else []


def _database(paths: StudyPaths, config: SweepConfig) -> list[str]:
    """Make Optuna's database again, when it is lost or damaged, from the trials' folders."""
    name, aside = paths.database.name, paths.database.with_name(f"{paths.database.name}.damaged")
    there = has_study(paths)
    if there and is_sound(paths):
        return []
    if paths.storage:
        count = make_database(paths, config)
        return [f"made the study in {place_of(paths)} again from {counted(count, 'trial folder')}"] if count else []
    if there:
        os.replace(paths.database, aside)
        paths.database.with_name(f"{name}-journal").unlink(missing_ok=True)
    count = make_database(paths, config)
    if not there and not count:
        return []
    kept = f" (the damaged one is {aside.name})" if there else ""
    return [f"made {name} again from {counted(count, 'trial folder')}{kept}"]


def _optuna(paths: StudyPaths, config: SweepConfig) -> list[str]:
    """Tell Optuna the ends of trials that it takes for running, and write down again those that only Optuna knows."""
    study = open_study(paths, config)
    numbers = restore_outcomes(study, paths)
    restored = [f"trial {number}: its end is written down again, as Optuna tells it" for number in numbers]
    told, _ = reconcile(study, config, lambda trial: read_job(paths.trial(trial.number)))
    return [*restored, *(f"trial {number}: told Optuna {what}" for number, what in told.items())]


def _mlflow(paths: StudyPaths, record: StudyRecord, config: SweepConfig, where: Destination) -> list[str]:
    """Complete the runs that are open, missing or incomplete in MLflow."""
    before = study_status(paths, record, config, where, ours=True)
    if before.mlflow_problem:
        return [f"MLflow can't be asked ({before.mlflow_problem}): its runs stay as they are"]
    wrong = [run for run in (*before.trials, *before.final) if any("MLflow" in text for text in run.problems)]
    if not wrong and not before.problems:
        return []
    uploader = _uploader(paths, record, config, where)
    jobs = {run.name: read_job(TrialPaths(paths.root / run.name)) for run in wrong}
    uploader.start()
    for run in wrong:
        if (job := jobs[run.name]) is not None:
            uploader.catch_up(job, Outcome.read(job.paths), anew=True)
    state = "complete" if before.stage == "done" else "interrupted"
    left = uploader.close(state, timeout_s=_TIMEOUT_S)  # type: ignore[arg-type]
    mended = [f"{_what(run)}: {_how(run)}" for run in wrong if run.name not in left and jobs[run.name] is not None]
    if before.problems:
        mended.append(f"the study: its MLflow run is ended as {state}")
    return mended + [f"{name}: MLflow did not take it ({uploader.problem or 'too slow'})" for name in left]


def _what(run: RunStatus) -> str:
    return f"trial {run.number}" if run.name.startswith("trials/") else run.name


def _how(run: RunStatus) -> str:
    """Say what MLflow has of a run now, in words that name the end state."""
    end = run.state if run.state not in ("not begun", "running") else "interrupted"
    return f"MLflow has it whole now, as {end} ({'; '.join(t for t in run.problems if 'MLflow' in t)} before)"


def _uploader(paths: StudyPaths, record: StudyRecord, config: SweepConfig, where: Destination) -> Uploader:
    scorer = read_state(paths.scorer_result, ScorerResult, MENDED)
    if scorer is None:
        raise UserError(f"no {paths.scorer_result}: MLflow's runs can't be mended; the study's command makes it")
    place = moved_store(record.store, record.store_hash, paths)
    return make_uploader(config, record, ClipStore.open(place, config.rules), scorer, paths, where)
