"""The Optuna study, in the folder's own database or a shared one, and made again from the trials' folders."""

from __future__ import annotations

import logging
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal
from urllib.parse import quote

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import DatabaseError, OperationalError

from sweeps.config.schema import SweepConfig
from sweeps.config.space import distributions, published_params
from sweeps.search import shared_database
from sweeps.state.job import MENDED, Job, Outcome, read_job, scored_points
from sweeps.state.paths import StudyPaths, TrialPaths
from sweeps.state.uris import read_only_uri, shown_uri, sqlite_uri
from tsvan.files import publish
from tsvan.journal import Journal
from tsvan.state_file import read_state
from tsvan.validation import UserError, first_line

LOCK_WAIT_S = 30.0
"""How long a database that another program has locked is waited for."""

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
INCOMPLETE = "incomplete"
"""Marks a trial whose parameters were cut by the driver's death: it was none, and another takes its place."""


INSTRUCTION = "instruction"
"""Names the user's instruction that added a trial."""


def is_incomplete(trial: FrozenTrial) -> bool:
    """Tell whether a trial's parameters were cut by the driver's death (studies of before say "torn")."""
    return INCOMPLETE in trial.user_attrs or "torn" in trial.user_attrs


def open_study(paths: StudyPaths, config: SweepConfig, say: Callable[[str], None] = lambda line: None) -> optuna.Study:
    """Open the study; a missing database, or one that trials' folders are ahead of, is made with what they say.

    Args:
        say: told, in a line, of a database that was behind.

    Raises:
        UserError: the database is damaged, or belongs to a study with other objectives.
    """
    if not has_study(paths):
        make_database(paths, config)
    study = load_study(paths)
    if _is_behind(study, paths):  # the trials went on with another --storage
        say(f"  {place_of(paths)} does not know all trials: made again from their folders")
        make_database(paths, config)
        study = load_study(paths)
    directions = _directions(config)
    found = [direction.name.lower() for direction in study.directions]
    if found != directions:
        raise UserError(
            f"the study in {place_of(paths)} has directions {found}, not {directions}; choose another --out"
        )
    return study


def has_study(paths: StudyPaths) -> bool:
    """Tell whether there is an Optuna study. Raises UserError: a shared database can't be asked."""
    return shared_database.is_there(paths) if paths.storage else paths.database.exists()


def ask_storage(paths: StudyPaths) -> str:
    """Check whether the study's database will take it, and name it; nothing is written.

    Raises:
        UserError: a shared one does not answer, its driver is missing, or nothing may be written there.
    """
    return shared_database.ask(paths) if paths.storage else str(paths.database)


def place_of(paths: StudyPaths) -> str:
    """Name the place of the Optuna study for people: its file, or the address of a shared database without secrets."""
    return shown_uri(paths.storage) if paths.storage else str(paths.database)


def load_study(paths: StudyPaths) -> optuna.Study:
    """Open an existing study.

    Raises:
        UserError: the database is damaged.
    """
    return _load(paths, sqlite_uri(paths.database), make_tables=True)


def read_study(paths: StudyPaths) -> optuna.Study:
    """Open an existing study so that nothing can be written.

    Raises:
        UserError: the database is damaged.
    """
    return _load(paths, read_only_uri(paths.database), make_tables=False)


def make_database(paths: StudyPaths, config: SweepConfig) -> int:
    """Make the Optuna study, in place of one that is there, from the trials' folders.

    A driver that dies here leaves no file, or in a shared database a study that is behind its folders, which the next
    one makes again.

    Returns:
        Trials that the folders knew of.
    """
    _quiet()
    if paths.storage:
        storage, name = shared_database.storage_of(paths, make_tables=True), shared_database.study_name(paths)
        with suppress(KeyError):
            optuna.delete_study(study_name=name, storage=storage)
        return _fill(storage, name, paths, config)
    paths.root.mkdir(parents=True, exist_ok=True)
    new = paths.root / ".study.db.new.tmp"
    for left in (new, new.with_name(f"{new.name}-journal")):
        left.unlink(missing_ok=True)
    storage = _storage(sqlite_uri(new))
    count = _fill(storage, paths.root.name, paths, config)
    storage.remove_session()
    storage.engine.dispose()
    publish(new, paths.database)
    return count


def _fill(storage: RDBStorage, name: str, paths: StudyPaths, config: SweepConfig) -> int:
    study = optuna.create_study(storage=storage, study_name=name, directions=_directions(config))
    if config.second_objective is not None:
        study.set_metric_names([objective.metric for objective in config.objectives])
    numbers = trial_numbers(paths)
    for number in range(max(numbers, default=-1) + 1):
        study.add_trial(_remembered(paths.trial(number), number, config))
    return len(numbers)


def _is_behind(study: optuna.Study, paths: StudyPaths) -> bool:
    """Tell whether some trial has a folder and has not begun by the database, which hears of a trial first."""
    with _damage_in_words(paths):
        begun = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state != TrialState.WAITING}
    return not begun.issuperset(trial_numbers(paths))


def trial_numbers(paths: StudyPaths) -> list[int]:
    """List the trials that have a folder with a job in it."""
    folders = paths.root.glob("trials/*/job.json")
    return sorted(int(file.parent.name) for file in folders if file.parent.name.isdecimal())


def attributes(job: Job, outcome: Outcome) -> dict[str, Any]:
    """Collect what Optuna's database holds of an ended trial beside its values."""
    attrs: dict[str, Any] = {
        "state": outcome.state,
        "iteration": outcome.iteration,
        "scores": outcome.values,
        "seconds": round(outcome.seconds, 2),
    }
    if run_id := run_of(job.paths):
        attrs["mlflow_run_id"] = run_id
    if outcome.reason:
        attrs["reason"] = outcome.reason
    return attrs


def run_of(folder: TrialPaths | StudyPaths) -> str | None:
    """Return the MLflow run of a trial or a study, if the uploader has made it by now."""
    return (read_state(folder.tracking, dict[str, Any], MENDED) or {}).get("run_id") or None


def _remembered(folder: TrialPaths, number: int, config: SweepConfig) -> FrozenTrial:
    """Build a trial as its folder tells it."""
    job, known = read_job(folder), distributions(config)
    if job is None or set(job.params) != set(known):
        return create_trial(state=TrialState.FAIL, user_attrs={INCOMPLETE: True})
    outcome, objective = Outcome.read(folder), config.objective.metric
    seen = scored_points(Journal(folder.metrics)) if len(config.objectives) == 1 else []
    steps = {point.iteration: point.values[objective] for point in seen if objective in point.values}
    attrs: dict[str, Any] = {"folder": str(folder.folder), "train_seed": job.config["seed"]}
    row, origin = published_params(config)
    if number == 0 and job.params == row:
        attrs["origin"] = origin
    if job.origin:
        attrs["origin"] = job.origin
    if job.instruction is not None:
        attrs[INSTRUCTION] = job.instruction
    values: dict[str, Any] = {"params": job.params, "distributions": known, "intermediate_values": steps}
    if outcome is None:
        return create_trial(state=TrialState.RUNNING, user_attrs=attrs, **values)
    state = STATES.get(outcome.state, TrialState.FAIL)
    if state == TrialState.COMPLETE:
        values["values"] = [outcome.values[item.metric] for item in config.objectives]
    elif state == TrialState.PRUNED and steps:
        values["value"] = steps[max(steps)]
    return create_trial(state=state, user_attrs={**attrs, **attributes(job, outcome)}, **values)


def _directions(config: SweepConfig) -> list[Literal["minimize", "maximize"]]:
    return [objective.direction for objective in config.objectives]


def _storage(url: str, *, skip_table_creation: bool = False) -> RDBStorage:
    arguments = {"connect_args": {"timeout": LOCK_WAIT_S}}
    return RDBStorage(url, engine_kwargs=arguments, skip_table_creation=skip_table_creation)


def _load(paths: StudyPaths, url: str, *, make_tables: bool) -> optuna.Study:
    _quiet()
    if paths.storage:
        storage, name = shared_database.storage_of(paths, make_tables=make_tables), shared_database.study_name(paths)
        with _damage_in_words(paths):
            return optuna.load_study(study_name=name, storage=storage)
    with _damage_in_words(paths):
        # By the only study in it, not by name: the folder may have been renamed.
        return optuna.load_study(study_name=None, storage=_storage(url, skip_table_creation=not make_tables))


@contextmanager
def _damage_in_words(paths: StudyPaths) -> Iterator[None]:
    try:
        yield
    except (DatabaseError, StorageInternalError, ValueError, KeyError, AssertionError) as error:
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        if isinstance(cause, OperationalError) and "no such table" not in str(cause):
            raise  # locked, or its disk is full: not damaged
        line = first_line(cause)
        raise UserError(
            f"the Optuna study in {place_of(paths)} is damaged ({line}); "
            f"'tune_runner.py status --out {paths.root} --repair' makes it again from the trials' folders"
        ) from None


def is_sound(paths: StudyPaths) -> bool:
    """Tell whether the database can be read to its end. Raises what is no damage, such as a lock."""
    return sound_trials(paths) is not None


def sound_trials(paths: StudyPaths) -> list[FrozenTrial] | None:
    """Read all trials, to be looked at only; None: the database can't be read to its end. Raises as `is_sound`."""
    try:
        trials = read_study(paths).get_trials(deepcopy=False)
    except UserError:
        return None
    return trials if paths.storage or _is_whole(paths) else None


def _is_whole(paths: StudyPaths) -> bool:
    with suppress(sqlite3.DatabaseError):
        connection = sqlite3.connect(f"file:{quote(str(paths.database))}?mode=ro", uri=True, timeout=LOCK_WAIT_S)
        try:
            return bool(connection.execute("PRAGMA quick_check").fetchone() == ("ok",))
        finally:
            connection.close()
    return False


def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    logging.getLogger("alembic").setLevel(logging.ERROR)
