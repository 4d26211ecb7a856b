"""Damaged and missing files of a study: `status` tells of each in a line, and the study makes them again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tune_runner
from sweeps.config.load import load
from sweeps.search.lost_outcomes import restore_outcomes
from sweeps.search.storage import load_study
from sweeps.state.job import SCORE, Outcome, read_job
from sweeps.state.paths import StudyPaths
from sweeps.state.record import write_record
from sweeps.status.damage import set_damaged_aside
from tests.sweeps.queue_steps import as_if_moved, take
from tests.sweeps.studies import open_queue
from tsvan.data.store import ClipStore
from tsvan.files import write_atomically
from tsvan.journal import Journal

SETS = ["objective=inception_score", "trials=3", "budget.iterations=100"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, weizmann_store: ClipStore) -> Path:
    """Two trials that ended and one that stands still, as their driver left them; MLflow has never been there."""
    config = load("weizmann", "smoke", SETS)[0]
    paths = StudyPaths(tmp_path_factory.mktemp("runs") / "study")
    paths.root.mkdir()
    write_record(paths, None, config.to_dict(), weizmann_store)
    queue = open_queue(config, paths)
    jobs = [take(queue) for _ in range(3)]
    for job in jobs:
        Journal(job.paths.metrics).append(10, SCORE, {"inception_score": 1.5})
        job.paths.checkpoints.mkdir()
        (job.paths.checkpoints / "000000010.0123456789abcdef.pt").touch()
        write_atomically(job.paths.tracking, '{"run_id": "abc"}')
        write_atomically(job.paths.seconds, "1.5")
    for job, state in zip(jobs, ("complete", "diverged"), strict=False):
        reason = "" if state == "complete" else "a loss is nan"
        outcome = Outcome(state, 10, {"inception_score": 1.5}, reason, 2.25, job.num_clips)  # type: ignore[arg-type]
        outcome.write(job.paths)
        queue.finished(job, outcome)
    write_atomically(paths.stage, '{"total": 3, "done": 0, "since": 1.0}')
    write_atomically(paths.scorer_result, "{}")
    write_atomically(paths.tracking, "{}")
    write_atomically(paths.memory, '{"peak_bytes": 1}')
    write_atomically(paths.final_result, "{}")
    return paths.root


@pytest.fixture
def paths(ended: Path, tmp_path: Path) -> StudyPaths:
    shutil.copytree(ended, tmp_path / "study")
    (tmp_path / "study" / "stages" / "scorer.json").unlink()
    return as_if_moved(StudyPaths(tmp_path / "study"))


FILES = [
    "trials/000/outcome.json",
    "trials/001/outcome.json",
    "trials/002/job.json",
    "trials/000/tracking.json",
    "trials/000/seconds",
    "tracking.json",
    "stages/now.json",
    "stages/memory.json",
    "stages/final.json",
]
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2] + b"\xc3",
    "zeros": lambda data: bytes(len(data)),
    "a list": lambda _: b"[1, 2]",
}


def status(paths: StudyPaths, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert tune_runner.main(["status", "--out", str(paths.root), *options]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    return said.out


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", FILES)
def test_status_tells_of_a_damaged_file_and_touches_nothing(
    file: str, damage: str, paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = paths.root / file
    broken.write_bytes(DAMAGE[damage](broken.read_bytes()))
    before = broken.read_bytes()
    told = [line for line in status(paths, capsys).splitlines() if f"{file} is damaged (" in line]
    assert len(told) == 1
    assert ": when the study goes on, " in told[0]
    values: dict[str, Any] = json.loads(status(paths, capsys, "--json"))
    assert not values["agree"]
    assert broken.read_bytes() == before


LOST = {
    "trials/000/metrics.jsonl": "metrics.jsonl is missing",
    "trials/001/metrics.jsonl": "metrics.jsonl is missing",
    "trials/000/checkpoints": "its checkpoints are missing",
    "trials/002/checkpoints": "its checkpoints are missing",
}


@pytest.mark.parametrize("file", LOST)
def test_status_notices_journals_and_checkpoints_that_are_missing(
    file: str, paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = paths.root / file
    shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    shown = status(paths, capsys)
    assert LOST[file] in next(line for line in shown.splitlines() if line.startswith(file[:10]))
    assert "the folders of 1 run(s) have lost something" in shown


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"iteration": 1}\n', b'{"iteration": "x", "kind": 1}\n', b"[" * 9999 + b"\n", b"\xff\n\0\0"]
)
def test_status_reads_any_journal(text: bytes, paths: StudyPaths, capsys: pytest.CaptureFixture[str]) -> None:
    paths.trial(0).metrics.write_bytes(text)
    paths.trial(0).notes.write_bytes(b"\xff\xfe")
    assert "metrics.jsonl is empty" in status(paths, capsys)


def test_what_optuna_remembers_of_a_lost_end_is_written_down_again(paths: StudyPaths) -> None:
    before = [Outcome.read(paths.trial(number)) for number in range(2)]
    paths.trial(0).outcome.write_bytes(b"")
    paths.trial(1).outcome.write_bytes(b"{")
    said = set_damaged_aside(paths)
    assert len(said) == 2
    assert all("and now outcome.json.damaged: Optuna's database tells its end" in line for line in said)
    assert restore_outcomes(load_study(paths), paths) == [0, 1]
    after = [Outcome.read(paths.trial(number)) for number in range(2)]
    for old, new in zip(before, after, strict=True):
        assert old is not None
        assert new is not None
        assert {**vars(new), "details": {}} == {**vars(old), "details": {}}
    assert restore_outcomes(load_study(paths), paths) == []
    assert set_damaged_aside(paths) == []


def test_repair_mends_a_damaged_end(paths: StudyPaths, capsys: pytest.CaptureFixture[str]) -> None:
    paths.trial(0).outcome.write_bytes(b"")
    shown = status(paths, capsys, "--repair")
    assert "trial 0: its end is written down again, as Optuna tells it" in shown
    assert "damaged (" not in shown.partition("study   ")[2]
    job = read_job(paths.trial(0))
    assert job is not None


def test_a_key_of_a_later_version_is_said_and_nothing_is_set_aside(
    paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads(paths.trial(0).outcome.read_text())
    paths.trial(0).outcome.write_text(json.dumps({**values, "warp": 9}))
    assert "has the key 'warp', which this version does not know" in status(paths, capsys)
    assert tune_runner.main(["status", "--out", str(paths.root), "--repair"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert json.loads(paths.trial(0).outcome.read_text())["warp"] == 9


@pytest.mark.parametrize("text", ["", "a: [", "study_id: 3\n", "- 1\n"])
def test_a_damaged_study_record_is_one_line_with_a_way_on(
    text: str, paths: StudyPaths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.config.write_text(text)
    assert tune_runner.main(["status", "--out", str(paths.root)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "study.yaml is" in error


def test_a_record_of_a_later_version_is_told(paths: StudyPaths, capsys: pytest.CaptureFixture[str]) -> None:
    text = paths.config.read_text()
    paths.config.write_text(f"{text}warp: 9\n")
    assert tune_runner.main(["status", "--out", str(paths.root)]) == 2
    assert "has the key 'warp' of a later version" in capsys.readouterr().err
    paths.config.write_text(text.replace("config:\n", "config:\n  warp: 9\n"))
    assert tune_runner.main(["status", "--out", str(paths.root)]) == 2
    assert "unknown key 'warp'" in capsys.readouterr().err
