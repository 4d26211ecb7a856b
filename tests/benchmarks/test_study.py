"""The benchmark of a study measures what it says."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import study, trivial
from benchmarks.resident import Watch, pss_mib


def write_events(folder: Path, starts: dict[str, float], gap: float) -> None:
    (folder / trivial.EVENTS).mkdir(parents=True)
    for name, start in starts.items():
        lines = [str(start + step * (trivial.STEP_S + gap)) for step in range(trivial.STEPS)]
        (folder / trivial.EVENTS / name).write_text("\n".join(lines))


def watched(samples: list[tuple[float, float, int]]) -> Watch:
    watch = Watch.__new__(Watch)
    watch.samples = samples
    return watch


def test_a_row_is_what_lies_beyond_the_steps(tmp_path: Path) -> None:
    write_events(tmp_path, {"a": 105.0, "b": 105.0, "c": 110.0, "d": 110.0}, gap=0.02)
    (tmp_path / trivial.DONE).write_text("115.0")
    watch = watched([(101.0, 50.0, 2), (106.0, 100.0, 3), (107.0, 300.0, 5), (108.0, 200.0, 4), (116.0, 999.0, 9)])
    row = study._row("ours", 4, tmp_path, started=100.0, ended=117.0, watch=watch)
    assert row.first_iteration_s == 5
    assert row.per_trial_s == pytest.approx((115 - 105 - 2 * 3.0) / 2)
    assert row.report_ms == pytest.approx(20)
    assert (row.exit_s, row.peak_mib, row.steady_mib, row.processes) == (17, 999, 200, 4)


def test_a_store_that_lacks_a_score_is_refused(tmp_path: Path) -> None:
    write_events(tmp_path, {"a": 1.0}, gap=0.0)
    with sqlite3.connect(tmp_path / "study.db") as optuna, sqlite3.connect(tmp_path / "mlflow.db") as mlflow:
        optuna.execute("CREATE TABLE trials (state TEXT)")
        optuna.execute("INSERT INTO trials VALUES ('COMPLETE')")
        mlflow.execute("CREATE TABLE params (key TEXT)")
        mlflow.execute("INSERT INTO params VALUES ('lambda2')")
        mlflow.execute("CREATE TABLE metrics (key TEXT)")
        rows = [(name,) for name in (trivial.SCORE_NAME, trivial.LOSSES[0]) for _ in range(trivial.STEPS)]
        mlflow.executemany("INSERT INTO metrics VALUES (?)", rows)
    study.check("book", 1, tmp_path)
    with sqlite3.connect(tmp_path / "mlflow.db") as mlflow:
        mlflow.execute("DELETE FROM metrics WHERE rowid = 1")  # a score
    with pytest.raises(RuntimeError, match="scores in MLflow"):
        study.check("book", 1, tmp_path)
    with pytest.raises(RuntimeError, match="steps of the trials"):
        study.check("book", 2, tmp_path)


def test_memory_is_of_the_whole_tree_and_shared_pages_count_once() -> None:
    child = "import subprocess, sys, time; held = bytearray(64 << 20); held[::4096] = b'x' * len(held[::4096])"
    grandchild = f"{child}; print('ready', flush=True); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        watch = Watch(process.pid)
        watch.sample()
        for known in reversed(watch._known.values()):
            known.kill()
    ((_, size, number),) = watch.samples
    assert number == 2
    assert 64 < size < 150
    assert pss_mib(process.pid) is None


def test_the_bare_loop_runs_every_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trivial, "STEP_S", 0.0)
    best = [trivial.bare(tmp_path, number) for number in range(2)]
    trivial.note_done(tmp_path)
    study.check("bare", 2, tmp_path)
    assert best[0] != best[1]
    assert all(score <= 100 for score in best)
