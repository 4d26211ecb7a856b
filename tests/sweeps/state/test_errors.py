"""Full disks, locked databases and small memory, as a person reads them."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from pathlib import Path

import pytest
import torch
from optuna.exceptions import StorageInternalError

from sweeps.config.schema import SweepConfig
from sweeps.search.storage import load_study
from sweeps.state.errors import StorageError, storage_error
from sweeps.state.job import Outcome, Point
from sweeps.state.paths import StudyPaths
from tests.sweeps.queue_steps import finish, take
from tests.sweeps.studies import open_queue
from tsvan.out_of_memory import memory_error

HERE = Path("/study")


def full(name: str | None) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (full("/study/x/.outcome.json.4100002.tmp"), "cannot write /study/x/outcome.json: No space left on"),
        (full(None), "cannot write /study: No space left on device; free space and run the same command again"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/study/stop"), "cannot write /study/stop: Read-only file"),
        (PermissionError(errno.EACCES, "Permission denied", "/study/a"), "cannot write /study/a: Permission denied;"),
        (sqlite3.OperationalError("database or disk is full"), "cannot write a database of /study: database or"),
        (sqlite3.OperationalError("database is locked"), "a database of /study is locked by another program; end that"),
        (StorageError("as it was said"), "as it was said"),
    ],
)
def test_what_is_wrong_with_the_storage_is_said_in_a_line(error: Exception, line: str) -> None:
    found = storage_error(error, HERE)
    assert found is not None
    assert found.startswith(line)


def test_it_is_found_behind_what_libraries_make_of_it() -> None:
    def as_ray_does() -> None:
        try:
            raise full("/study/a")
        except OSError:
            raise RuntimeError("a traceback as text")  # noqa: B904

    with pytest.raises(RuntimeError, match="a traceback") as error:
        as_ray_does()
    assert "No space left" in str(storage_error(error.value, HERE))


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "gone", "/x"), KeyError("x"), ValueError("x")])
def test_bugs_are_no_trouble_of_the_storage(error: Exception) -> None:
    assert storage_error(error, HERE) is None
    assert memory_error(error) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. GPU 0"), "OutOfMemoryError: CUDA out of"),
        (MemoryError(), "MemoryError"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling x"), "RuntimeError: CUBLAS_STATUS_ALLOC"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling x"), "RuntimeError: CUBLAS_STATUS_NOT"),
        (RuntimeError("Triton Error [CUDA]: out of memory"), "RuntimeError: Triton Error [CUDA]: out of memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), "RuntimeError: DEVICE_AL"),
    ],
)
def test_small_memory_is_told_from_other_errors(error: Exception, line: str) -> None:
    assert str(memory_error(error)).startswith(line)


def test_a_database_that_is_locked_for_a_while_is_waited_for(config: SweepConfig, paths: StudyPaths) -> None:
    queue = open_queue(config, paths)
    job = take(queue)
    other = sqlite3.connect(paths.database, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    free = threading.Timer(1.5, other.rollback)
    free.start()
    finish(queue, job, "complete", 1.0)
    assert free.finished.is_set()  # not before
    assert load_study(paths).trials[0].values == [1.0]


def test_a_database_that_stays_locked_ends_in_a_line_and_loses_nothing(
    config: SweepConfig, paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.search.storage.LOCK_WAIT_S", 0.3)
    queue = open_queue(config, paths)
    job = take(queue)
    other = sqlite3.connect(paths.database)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageInternalError) as error:
        finish(queue, job, "complete", 1.0)
    assert "is locked by another program" in str(storage_error(error.value, paths.root))
    other.rollback()
    assert Outcome.read(job.paths) is not None
    open_queue(config, paths)  # the next start tells it
    assert load_study(paths).trials[0].values == [1.0]


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_no_number_judges_nothing_and_harms_nothing(
    config: SweepConfig, paths: StudyPaths, score: float
) -> None:
    queue = open_queue(config, paths)
    job = take(queue)
    queue.report(job, Point(30, {"inception_score": score}))
    queue.report(job, Point(80, {}))
    outcome = Outcome("diverged", 80, {}, f"score inception_score is {score}")
    outcome.write(job.paths)
    queue.finished(job, outcome)
    trial = load_study(paths).trials[0]
    assert (trial.state.name, trial.user_attrs["state"], trial.intermediate_values) == ("FAIL", "diverged", {})
