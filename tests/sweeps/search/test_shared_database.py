"""A database of the user's in place of the folder's `study.db`: the folder stays whole, and makes either again."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import yaml
from optuna.trial import TrialState

from sweeps.commands.passwords import without_passwords
from sweeps.config.schema import SweepConfig
from sweeps.search import shared_database
from sweeps.search.recorded_trials import recorded_trials
from sweeps.search.shared_database import refusal, storage_address, study_name
from sweeps.search.storage import ask_storage, has_study, load_study, open_study
from sweeps.state.errors import storage_error
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord, read_record
from sweeps.state.uris import recorded_uri, sqlite_uri, with_secrets
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import open_queue
from tsvan.validation import UserError

SERVED = "postgresql://alice:se%40cret@db.example:5433/optuna"


def record(paths: StudyPaths, config: SweepConfig, study_id: str = "s1") -> StudyPaths:
    """As `write_record` leaves it."""
    made = StudyRecord(study_id, config.to_dict(), "", "", "synthetic", str(paths.root), recorded_uri(paths.storage))
    paths.config.write_text(yaml.safe_dump(made.__dict__))
    return paths


@pytest.fixture
def shared(paths: StudyPaths, config: SweepConfig, tmp_path: Path) -> StudyPaths:
    """A study whose Optuna study is in a file elsewhere, which stands for a server."""
    return record(replace(paths, storage=sqlite_uri(tmp_path / "shared.db")), config)


def states(paths: StudyPaths) -> list[TrialState]:
    return [trial.state for trial in load_study(paths).trials]


def test_the_study_is_in_the_shared_database_by_a_name_of_its_own_and_not_in_the_folder(
    shared: StudyPaths, config: SweepConfig
) -> None:
    assert not has_study(shared)
    assert not Path(shared.storage.removeprefix("sqlite:///")).exists() or not has_study(shared)
    queue = open_queue(config, shared)
    finish(queue, take(queue), "complete", 1.0)
    assert optuna.get_all_study_names(shared.storage) == ["tsvan-weizmann-s1"]
    assert states(shared) == [TrialState.COMPLETE]
    assert not shared.database.exists()


def test_two_studies_in_one_database_do_not_see_each_other(
    shared: StudyPaths, config: SweepConfig, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = record(StudyPaths(tmp_path / "other", shared.storage), config, "s2")
    first, second = open_queue(config, shared), open_queue(config, other)
    finish(first, take(first), "complete", 1.0)
    assert [take(second).number, take(second).number] == [0, 1]
    assert (len(states(shared)), len(states(other))) == (1, 2)
    assert study_name(shared) != study_name(other)


@pytest.mark.parametrize("way", ["to the folder's own", "back to the shared one", "the shared one was dropped"])
def test_the_folder_makes_again_a_database_that_does_not_know_its_trials(
    shared: StudyPaths, config: SweepConfig, way: str
) -> None:
    own = replace(shared, storage="")
    before, after = {
        "to the folder's own": (shared, own),
        "back to the shared one": (own, shared),
        "the shared one was dropped": (shared, shared),
    }[way]
    queue = open_queue(config, after)  # it knows the first trial only
    finish(queue, take(queue), "complete", 1.0)
    queue = open_queue(config, before)
    for state in ("pruned", "diverged"):
        finish(queue, take(queue), state, 2.0)
    running = take(queue)
    if way == "the shared one was dropped":
        optuna.delete_study(study_name=study_name(shared), storage=shared.storage)
    said: list[str] = []
    study = open_study(after, config, said.append)
    expected = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]
    assert [trial.state for trial in study.trials] == expected
    assert study.trials[running.number].params == running.params
    assert len(said) == (0 if way == "the shared one was dropped" else 1)


def test_a_study_of_other_objectives_under_that_name_is_refused(shared: StudyPaths, config: SweepConfig) -> None:
    optuna.create_study(storage=shared.storage, study_name=study_name(shared), direction="minimize")
    with pytest.raises(UserError, match=r"directions \['minimize'\]"):
        open_study(shared, config)


def test_status_says_that_the_database_holds_no_such_study(shared: StudyPaths, config: SweepConfig) -> None:
    assert recorded_trials(shared) == ({}, [])
    queue = open_queue(config, shared)
    finish(queue, take(queue), "complete", 1.0)
    found, problems = recorded_trials(shared)
    assert found is not None
    assert (found[0].state, problems) == ("complete", [])
    optuna.delete_study(study_name=study_name(shared), storage=shared.storage)
    found, problems = recorded_trials(shared)
    assert found is None
    assert "does not hold the study" in problems[0]


@pytest.mark.parametrize(
    ("asked", "held", "begun", "expected"),
    [
        (None, None, None, ""),
        (SERVED, None, None, SERVED),
        (None, SERVED, None, SERVED),
        ("postgresql://db.example:5433/optuna", SERVED, None, SERVED),
        ("postgresql://bob@db.example:5433/optuna", SERVED, None, "postgresql://bob@db.example:5433/optuna"),
        ("postgresql://db.example/other", SERVED, None, "postgresql://db.example/other"),
        (None, SERVED, "", ""),
        (None, SERVED, "postgresql+psycopg://db.example:5433/optuna", SERVED),
        (None, None, "postgresql://db.example:5433/optuna", "postgresql://db.example:5433/optuna"),
        ("folder", SERVED, "postgresql://db.example:5433/optuna", ""),
    ],
)
def test_the_option_counts_then_how_the_study_began_then_the_environment_which_holds_the_password(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, held: str | None, begun: str | None, expected: str
) -> None:
    monkeypatch.delenv("OPTUNA_STORAGE", raising=False)
    if held is not None:
        monkeypatch.setenv("OPTUNA_STORAGE", held)
    made = None if begun is None else StudyRecord("s1", {}, "", "", "real", "", begun)
    assert storage_address(asked, made) == expected


@pytest.mark.parametrize("address", ["redis://localhost:6379/0", "postgresql://host", "no address", "http://host/x"])
def test_an_address_of_no_database_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="names no database; give postgresql://HOST/DATABASE"):
        storage_address(address, None)


@pytest.mark.parametrize(
    ("address", "module", "package"),
    [
        (SERVED, "psycopg", "'psycopg[binary]'"),
        (SERVED.replace("postgresql", "postgresql+psycopg2"), "psycopg2", "psycopg2-binary"),
        ("mysql+pymysql://a:b@h/optuna", "pymysql", "pymysql"),
    ],
)
def test_a_missing_driver_is_said_with_the_command_that_installs_it(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch, address: str, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as error:
        ask_storage(replace(paths, storage=address))
    assert str(error.value).endswith(f"the database's driver {module} is missing; pip install {package}")
    assert "cret" not in str(error.value)


def test_the_record_holds_the_address_without_its_secrets(paths: StudyPaths, config: SweepConfig) -> None:
    record(replace(paths, storage=SERVED), config)
    made = read_record(paths)
    assert made is not None
    assert made.storage == "postgresql://db.example:5433/optuna"
    assert with_secrets(made.storage, SERVED) == SERVED
    assert "cret" not in paths.config.read_text()
    assert "cret" not in repr(replace(paths, storage=SERVED))


@pytest.mark.parametrize(
    ("typed", "variable", "shown"),
    [
        (["--storage", SERVED], "OPTUNA_STORAGE", ["--storage", "postgresql://db.example:5433/optuna"]),
        ([f"--stor={SERVED}"], "OPTUNA_STORAGE", ["--stor=postgresql://db.example:5433/optuna"]),
        (
            ["--tracking-uri", "https://me:se%40cret@mlflow.example"],
            "MLFLOW_TRACKING_URI",
            ["--tracking-uri", "https://mlflow.example"],
        ),
    ],
)
def test_a_password_on_the_command_line_goes_into_the_environment(
    typed: list[str], variable: str, shown: list[str]
) -> None:
    around = ["python", "tune_runner.py", "--dataset", "vox"]
    address = typed[-1].partition("=")[2] if len(typed) == 1 else typed[1]
    assert without_passwords([*around, *typed, "--trials", "3"]) == (
        [*around, *shown, "--trials", "3"],
        {variable: address},
    )
    assert without_passwords([*around, *shown]) == ([*around, *shown], {})


def test_tables_that_several_studies_make_at_once_are_made(
    paths: StudyPaths, config: SweepConfig, tmp_path: Path
) -> None:
    def begin(number: int) -> int:
        folder = tmp_path / f"study{number}"
        folder.mkdir()
        mine = record(StudyPaths(folder, sqlite_uri(tmp_path / "new.db")), config, f"s{number}")
        return len(open_study(mine, config).trials)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, range(4))) == [0] * 4


def test_an_outage_ends_a_study_in_one_line_and_blames_no_trial(tmp_path: Path) -> None:
    import sqlalchemy.exc

    lost = sqlalchemy.exc.OperationalError("select 1", {}, RuntimeError(f"connection to {SERVED} failed\nmore"))
    line = storage_error(lost, tmp_path)
    assert line is not None
    assert "connection to postgresql://db.example:5433/optuna failed" in line
    assert line.endswith("when it answers, run the same command again")


def test_a_refusal_before_the_study_begins_stays_in_its_own_words(tmp_path: Path) -> None:
    import sqlalchemy.exc

    try:
        raise sqlalchemy.exc.OperationalError("select 1", {}, RuntimeError("password authentication failed"))
    except sqlalchemy.exc.OperationalError as error:
        refused = refusal(error, SERVED)
        refused.__context__ = error  # as `raise ... from None` leaves it
    assert storage_error(refused, tmp_path) is None
    assert str(refused).endswith("put the address with user and password into OPTUNA_STORAGE")


def test_a_database_that_never_answered_is_not_waited_for(paths: StudyPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_database.time, "sleep", lambda s: pytest.fail("waits"))
    with pytest.raises(UserError, match="unable to open database file"):
        ask_storage(replace(paths, storage="sqlite:////no/such/folder/study.db"))
