"""Optuna's studies in a real PostgreSQL server."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from sweeps.config.schema import SweepConfig
from sweeps.search.recorded_trials import recorded_trials
from sweeps.search.storage import ask_storage, has_study, load_study, open_study, read_study
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from tests.postgres import PASSWORD, Postgres, serving_postgres
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import open_queue
from tsvan.validation import UserError


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with serving_postgres() as server:
        yield server


@pytest.fixture
def database(server: Postgres, request: pytest.FixtureRequest) -> str:
    """The name of an empty database."""
    name = f"d{abs(hash(request.node.name)) % 10**8}"
    server.sql(f"create database {name}")
    return name


def study(folder: Path, uri: str, config: SweepConfig, study_id: str = "s1") -> StudyPaths:
    folder.mkdir(exist_ok=True)
    made = StudyRecord(study_id, config.to_dict(), "", "", "synthetic", str(folder))
    (folder / "study.yaml").write_text(yaml.safe_dump(made.__dict__))
    return StudyPaths(folder, uri)


def typed(error: UserError) -> str:
    """The statement of the command that a line ends with."""
    _, psql, rest = str(error).partition("psql ")
    return shlex.split(psql + rest)[-1]


def test_trials_are_kept_there_and_nothing_is_written_before_the_study_begins(
    server: Postgres, database: str, config: SweepConfig, tmp_path: Path
) -> None:
    paths = study(tmp_path / "study", server.uri(database), config)
    assert ask_storage(paths) == f"{server.shown(database)} (its tables are made)"
    assert not has_study(paths)
    tables = "select count(*) from information_schema.tables where table_schema = 'public'"
    assert server.sql(tables, database) == [(0,)]
    queue = open_queue(config, paths)
    for state in ("complete", "pruned"):
        finish(queue, take(queue), state, 1.0)
    found, problems = recorded_trials(paths)
    assert found is not None
    assert ([trial.state for trial in found.values()], problems) == (["complete", "pruned"], [])
    assert [trial.state for trial in load_study(paths).trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert ask_storage(paths) == server.shown(database)
    assert not paths.database.exists()


def test_who_looks_can_write_nothing(server: Postgres, database: str, config: SweepConfig, tmp_path: Path) -> None:
    paths = study(tmp_path / "study", server.uri(database), config)
    open_study(paths, config)
    with pytest.raises(StorageInternalError) as error:
        read_study(paths).set_user_attr("a", 1)
    assert "read-only transaction" in str(error.value.__cause__)


def test_studies_that_begin_at_once_in_an_empty_database_all_begin(
    server: Postgres, database: str, config: SweepConfig, tmp_path: Path
) -> None:
    def begin(number: int) -> int:
        paths = study(tmp_path / f"study{number}", server.uri(database), config, f"s{number}")
        finish(queue := open_queue(config, paths), take(queue), "complete", 1.0)
        return len(load_study(paths).trials)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(begin, range(4))) == [1] * 4


def test_what_a_server_refuses_is_one_line_with_the_remedy_and_without_the_password(
    server: Postgres, database: str, config: SweepConfig, tmp_path: Path
) -> None:
    def refusal(uri: str) -> str:
        with pytest.raises(UserError) as error:
            ask_storage(study(tmp_path / "study", uri, config))
        text = str(error.value)
        assert "\n" not in text
        assert PASSWORD not in text
        assert "wrong-one" not in text
        return text

    assert "put the address with user and password into OPTUNA_STORAGE" in refusal(server.shown(database))
    wrong = refusal(server.uri(database, password="wrong-one"))
    assert "password authentication failed" in wrong
    assert "OPTUNA_STORAGE" in wrong
    missing = refusal(server.uri("missing"))
    assert "does not exist; make it" in missing
    away = refusal(server.uri(database).replace(str(server.port), "9"))
    assert "Connection refused" in away
    assert "start it" in away


def test_a_user_without_the_right_is_told_what_its_owner_types(
    server: Postgres, database: str, config: SweepConfig, tmp_path: Path
) -> None:
    server.sql("create role carol login password 'carols one'")
    paths = study(tmp_path / "study", server.uri(database, "carol", "carols one"), config)
    with pytest.raises(UserError, match="carol may not write there") as error:
        ask_storage(paths)
    server.sql(typed(error.value), database)
    assert ask_storage(paths).endswith("(its tables are made)")
    owners = study(tmp_path / "owners", server.uri(database), config)
    open_study(owners, config)
    with pytest.raises(UserError, match="carol may not write there") as error:
        ask_storage(paths)
    server.sql(typed(error.value), database)
    finish(queue := open_queue(config, paths), take(queue), "complete", 1.0)


def test_a_server_that_is_restarted_is_waited_for(
    server: Postgres, database: str, config: SweepConfig, tmp_path: Path
) -> None:
    queue = open_queue(config, study(tmp_path / "study", server.uri(database), config))
    first = take(queue)
    server.stop()
    again = threading.Timer(2, server.start)
    again.start()
    try:
        finish(queue, first, "complete", 1.0)
        assert take(queue).number == 1
    finally:
        again.join()


def test_a_study_goes_on_from_its_folder_when_the_database_was_dropped(
    server: Postgres, database: str, config: SweepConfig, tmp_path: Path
) -> None:
    paths = study(tmp_path / "study", server.uri(database), config)
    queue = open_queue(config, paths)
    finish(queue, take(queue), "complete", 3.0)
    running = take(queue)
    server.sql(f"drop database {database} with (force)")
    server.sql(f"create database {database}")
    found, problems = recorded_trials(paths)
    assert found is None
    assert "does not hold the study" in problems[0]
    again = open_queue(config, paths)
    assert load_study(paths).trials[0].value == 3.0
    left = take(again)
    assert (left.number, left.params) == (running.number, running.params)
    own = replace(paths, storage="")
    assert [trial.state for trial in open_study(own, config).trials] == [TrialState.COMPLETE, TrialState.RUNNING]
