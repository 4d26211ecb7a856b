"""What a study of many trials costs its driver, `status` and the report: trials that take no time of their own.

    python -m benchmarks.scale --trials 64 --trials 1000 --folder DIR --json scale.json

A trial is ten scores and losses in a journal, one after the other; two run at a time. The driver's CPU time and memory
are looked at when so many trials have ended; the report is made from the sweep alone, then `status` is called.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks import trivial
from benchmarks.resident import pss_mib
from sweeps.state.job import SCORE, TRAIN, Job, Outcome, Point
from tsvan.journal import Journal

DATASET = ("--dataset", "weizmann", "--preset", "smoke", "--set", "resources.cpus_per_trial=1", "--workers", "2")
_WARM = 16
"""Trials at the start that are not counted: libraries are loaded beside them."""


@dataclass(frozen=True)
class Row:
    """A study of so many trials. Times are CPU seconds of one process, unless named otherwise.

    Args:
        first_s, last_s: of the driver, a trial, over the first and the last quarter of the trials.
        rate: trials a second of wall time, over all.
        first_mib, last_mib: PSS of the driver after the first trials and after the last.
        report_s, report_wall_s: of the report, in the driver.
        page_mib: size of report.html.
        status_s, status_wall_s: of `status`.
        files: in the study's folder, a trial.
    """

    trials: int
    first_s: float
    last_s: float
    rate: float
    first_mib: float
    last_mib: float
    report_s: float
    report_wall_s: float
    page_mib: float
    status_s: float
    status_wall_s: float
    files: float


@dataclass(frozen=True)
class Look:
    """A look at the driver: trials that have ended, when, its CPU seconds until then, and its memory in MiB."""

    ended: int
    at: float
    cpu_s: float
    mib: float


def body(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
    """Run the trial as a job of a study."""
    journal, started, values = Journal(job.paths.metrics), time.monotonic(), dict[str, float]()
    for step, target in enumerate(job.score_at, 1):
        values = trivial.measured(step, job.config["loss"]["lambda2"])
        journal.append(target, TRAIN, {name: values[name] for name in trivial.LOSSES})
        journal.append(target, SCORE, {trivial.SCORE_NAME: values[trivial.SCORE_NAME]}, sync=True)
        yield Point(target, values)
    Outcome("complete", job.score_at[-1], values, "", time.monotonic() - started, job.num_clips).write(job.paths)


def study(folder: Path, arguments: list[str]) -> int:
    """Run `tune_runner.py` without a final stage, and note what the report takes."""
    import tune_runner
    from sweeps import study

    class SweepOnly(study.StudyDriver):
        """Goes from the sweep to the report, when MLflow has all trials."""

        def sweep(self, *args: Any) -> bool:
            super().sweep(*args)
            assert self.uploader is not None
            if left := self.uploader.settle(timeout_s=600):
                raise SystemExit(f"not delivered: {', '.join(left)}: {self.uploader.problem}")
            trivial.note_done(folder)
            return False

        def report(self, *args: Any) -> int:
            begun, at = time.process_time(), time.monotonic()
            code = super().report(*args)
            times = [time.process_time() - begun, time.monotonic() - at]
            (folder / "report.json").write_text(json.dumps(times))
            return code

    return tune_runner.main(arguments, {"body": "benchmarks.scale:body"}, SweepOnly)


def measure(trials: int, holder: Path) -> Row:
    """Run a study of so many trials in an empty folder below `holder`.

    Raises:
        RuntimeError: it failed.
    """
    folder = holder / str(trials)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (holder / "stores").mkdir(exist_ok=True)
    (folder / "stores").symlink_to(holder / "stores")
    out = folder / "study"
    own = ["--trials", str(trials), "--out", str(out), "--set", f"objective={trivial.SCORE_NAME}"]
    command = [sys.executable, "-m", "benchmarks.scale", "--run", str(folder), *DATASET, *own]
    looks: list[Look] = []
    with (
        open(folder / "log", "w") as log,
        subprocess.Popen([*command, "--allow-weak-objective"], stdout=log, stderr=log, cwd=_root()) as process,
    ):
        while process.poll() is None:
            if not (folder / trivial.DONE).exists():
                looks += _look(process.pid, out)
            time.sleep(0.5)
    if not (folder / "report.json").exists():
        raise RuntimeError(f"the study failed:\n{(folder / 'log').read_text()[-3000:]}")
    report = json.loads((folder / "report.json").read_text())
    page = (out / "report.html").stat().st_size / 2**20
    files = sum(len(names) for _, _, names in os.walk(out)) / trials
    return _row(trials, looks, report, page, _status(out), files)


def _look(pid: int, out: Path) -> list[Look]:
    ended = sum((folder / "outcome.json").exists() for folder in (out / "trials").glob("*"))
    try:
        times, size = psutil.Process(pid).cpu_times(), pss_mib(pid)
    except psutil.NoSuchProcess:
        return []
    return [] if size is None else [Look(ended, time.time(), times.user + times.system, size)]


def _status(out: Path) -> tuple[float, float]:
    at, before = time.monotonic(), os.times()
    command = [sys.executable, "tune_runner.py", "status", "--out", str(out), "--json"]
    subprocess.run(command, cwd=_root(), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, time.monotonic() - at


def _row(
    trials: int, looks: list[Look], report: list[float], page_mib: float, status: tuple[float, float], files: float
) -> Row:
    counted = [look for look in looks if look.ended >= _WARM]
    quarter = (trials - _WARM) // 4
    first = [look for look in counted if look.ended <= _WARM + quarter]
    # The last look is after all was delivered.
    last = [look for look in counted if look.ended >= trials - quarter]
    return Row(
        trials,
        _per_trial(first),
        _per_trial(last),
        (counted[-1].ended - counted[0].ended) / (counted[-1].at - counted[0].at),
        first[-1].mib,
        max(look.mib for look in last),
        *report,
        page_mib,
        *status,
        files,
    )


def _per_trial(looks: list[Look]) -> float:
    return (looks[-1].cpu_s - looks[0].cpu_s) / max(1, looks[-1].ended - looks[0].ended)


def _line(row: Row | None) -> str:
    if row is None:
        names = ("trials", "first", "last", "rate", "MiB first", "MiB last", "report", "wall", "page", "status", "wall")
        return "".join(f"{name:>11}" for name in (*names, "files"))
    times = f"{row.trials:>11}{row.first_s:>9.3f} s{row.last_s:>9.3f} s{row.rate:>7.2f} /s"
    memory = f"{row.first_mib:>11.0f}{row.last_mib:>11.0f}"
    report = f"{row.report_s:>9.1f} s{row.report_wall_s:>9.1f} s{row.page_mib:>7.1f} MiB"
    return f"{times}{memory}{report}{row.status_s:>9.1f} s{row.status_wall_s:>9.1f} s{row.files:>11.1f}"


def _root() -> Path:
    return Path(__file__).parent.parent


def main() -> int:
    """Print a table; with --json write the rows as well."""
    if sys.argv[1:2] == ["--run"]:
        return study(Path(sys.argv[2]), sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, action="append", help="of a study; can be given again (default 64)")
    parser.add_argument("--folder", type=Path, help="keep everything there; a second call finds clips and scorer made")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tsvan-scale-") as folder:
        holder = (args.folder or Path(folder)).resolve()
        holder.mkdir(parents=True, exist_ok=True)
        print(_line(None), flush=True)
        rows = []
        for trials in args.trials or [64]:
            rows.append(measure(trials, holder))
            print(_line(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
