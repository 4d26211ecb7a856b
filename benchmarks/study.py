"""What orchestration adds to trials: ours, the same trials in a bare loop, and the tools' by-the-book glue.

    python -m benchmarks.study --trials 8 --trials 64 --json study.json
    python -m benchmarks.study --only ours,bare

A trial is ten steps of 0.3 s of sleep (`trivial.py`), two run at a time. Every column is a command of its own, timed
from its start; afterwards its stores are read, and a trial, a score or a parameter that is missing is an error.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import trivial
from benchmarks.resident import Watch

COLUMNS = {"ours": "our_study", "bare": "trivial", "book": "by_the_book"}
IDEAL_TRIAL_S = trivial.STEPS * trivial.STEP_S
DATASET = ("--dataset", "weizmann", "--preset", "smoke")


@dataclass(frozen=True)
class Row:
    """One column at one number of trials. Seconds, unless named otherwise; memory is PSS of the whole process tree.

    Args:
        first_iteration_s: from the command to the first trial's first iteration.
        per_trial_s: (from there until every store knows all trials, less the ideal) / trials per slot.
        report_ms: mean interval of two steps of a trial, less the step; a checkpoint every second time included.
        exit_s: from the command to its exit.
        steady_mib: median while trials run.
        processes: the same, their number.
    """

    column: str
    trials: int
    first_iteration_s: float
    per_trial_s: float
    report_ms: float
    exit_s: float
    peak_mib: float
    steady_mib: float
    processes: float


def main() -> None:
    """Print a table; with --json write the rows as well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, action="append", help="of a study; can be given again (default 8)")
    parser.add_argument("--only", default=",".join(COLUMNS), help=f"columns, of {','.join(COLUMNS)}")
    parser.add_argument("--repeats", type=int, default=1, help="the columns take turns; medians are shown")
    parser.add_argument("--folder", type=Path, help="keep everything there; a second call finds clips and scorer made")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    chosen = args.only.split(",")
    if unknown := set(chosen) - set(COLUMNS):
        parser.error(f"--only: no column {', '.join(sorted(unknown))}; there are {', '.join(COLUMNS)}")
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tsvan-study-") as folder:
        holder = (args.folder or Path(folder)).resolve()
        holder.mkdir(parents=True, exist_ok=True)
        for column in chosen:  # makes the clips and their scorer, and reads every library once
            measure(column, trivial.SLOTS, holder)
        print(_line(None))
        for trials in args.trials or [8]:
            taken = [measure(column, trials, holder) for _ in range(args.repeats) for column in chosen]
            for column in chosen:
                rows.append(_median([row for row in taken if row.column == column]))
                print(_line(rows[-1]))
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


def measure(column: str, trials: int, holder: Path) -> Row:
    """Run one column's command in an empty folder below `holder`.

    Raises:
        RuntimeError: it failed, or a store lacks something.
    """
    folder = holder / column
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if column == "ours" and (holder / "stores").exists():
        (folder / "stores").symlink_to(holder / "stores")
    started = time.time()
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen(_command(column, trials, folder), stdout=log, stderr=log, cwd=_root()) as process,
    ):
        watch = Watch(process.pid)
        watch.until_exit(process)
        ended = time.time()
    if process.returncode != 0:
        raise RuntimeError(f"{column} failed:\n{(folder / 'log').read_text()[-2000:]}")
    check(column, trials, folder)
    if column == "ours" and not (holder / "stores").exists():
        shutil.move(folder / "stores", holder / "stores")
    return _row(column, trials, folder, started, ended, watch)


def check(column: str, trials: int, folder: Path) -> None:
    """Check that the stores hold every trial with all its scores and parameters.

    Raises:
        RuntimeError: they don't.
    """
    events = [len(file.read_text().split()) for file in (folder / trivial.EVENTS).iterdir()]
    if events != [trivial.STEPS] * trials:
        raise RuntimeError(f"{column}: steps of the trials are {events}")
    if column == "bare":
        return
    database = folder / ("study/study.db" if column == "ours" else "study.db")
    with sqlite3.connect(database) as optuna, sqlite3.connect(folder / "mlflow.db") as mlflow:
        found = {
            "trials in Optuna": _count(optuna, "trials WHERE state = 'COMPLETE'"),
            "runs in MLflow": _count(mlflow, "params WHERE key = 'lambda2'"),
            "scores in MLflow": _count(mlflow, f"metrics WHERE key LIKE '%{trivial.SCORE_NAME}'") // trivial.STEPS,
            "losses in MLflow": _count(mlflow, f"metrics WHERE key LIKE '%{trivial.LOSSES[0]}'") // trivial.STEPS,
        }
    if set(found.values()) != {trials}:
        raise RuntimeError(f"{column}: {found}, of {trials}; see {folder / 'log'}")


def _command(column: str, trials: int, folder: Path) -> list[str]:
    python = [sys.executable, "-m", f"benchmarks.{COLUMNS[column]}"]
    if column != "ours":
        return [*python, "--trials", str(trials), "--folder", str(folder)]
    workers = ("--trials", str(trials), "--workers", str(trivial.SLOTS), "--out", str(folder / "study"))
    # Ten scores of one iteration each are ten steps; the width of a slot is one core in every column.
    return [*python, str(folder), *DATASET, *workers, "--set", "resources.cpus_per_trial=1", *OBJECTIVE]


OBJECTIVE = ("--set", f"objective={trivial.SCORE_NAME}", "--allow-weak-objective")
"""The score that the trials make up; whether it sees motion is not asked."""


def _row(column: str, trials: int, folder: Path, started: float, ended: float, watch: Watch) -> Row:
    steps = [[float(line) for line in file.read_text().split()] for file in (folder / trivial.EVENTS).iterdir()]
    first = min(times[0] for times in steps)
    done = float((folder / trivial.DONE).read_text())
    rounds = trials / trivial.SLOTS
    gaps = [b - a - trivial.STEP_S for times in steps for a, b in pairwise(times)]
    return Row(
        column,
        trials,
        first_iteration_s=first - started,
        per_trial_s=(done - first - rounds * IDEAL_TRIAL_S) / rounds,
        report_ms=statistics.mean(gaps) * 1000,
        exit_s=ended - started,
        peak_mib=watch.peak_mib(),
        steady_mib=watch.median_mib(first, done),
        processes=watch.median_processes(first, done),
    )


def _median(rows: list[Row]) -> Row:
    numbers = [name for name, value in asdict(rows[0]).items() if isinstance(value, float)]
    medians = {name: statistics.median(getattr(row, name) for row in rows) for name in numbers}
    return Row(rows[0].column, rows[0].trials, **medians)


def _count(database: sqlite3.Connection, what: str) -> int:
    return int(database.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0])


def _line(row: Row | None) -> str:
    if row is None:
        names = ("trials", "first it.", "per trial", "report", "exit", "peak", "steady", "processes")
        return f"{'':<6}" + "".join(f"{name:>11}" for name in names)
    times = f"{row.first_iteration_s:>9.1f} s{row.per_trial_s:>9.2f} s{row.report_ms:>8.1f} ms{row.exit_s:>9.1f} s"
    memory = f"{row.peak_mib:>7.0f} MiB{row.steady_mib:>7.0f} MiB{row.processes:>11.0f}"
    return f"{row.column:<6}{row.trials:>11}{times}{memory}"


def _root() -> Path:
    return Path(__file__).parent.parent


if __name__ == "__main__":
    main()
