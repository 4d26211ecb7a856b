"""All that a GPU is asked for, in one command of a few minutes, what is worth most first.

    python -m tsvan data prepare --dataset weizmann --source ../shared/data/weizmann --out weizmann-store
    python -m benchmarks.device --minutes 9 --out DIR --store weizmann-store
    python -m benchmarks.device --rehearse --minutes 5 --out DIR

Each part runs in a process of its own, which a failure or the clock ends without harm to the others, and prints its
rows as they are known; `device.json` and `device.md` grow with each. Learning comes last and takes what is left.
`--rehearse` goes through every part on a CPU, at sizes that show nothing but that it runs. It takes tsvan and this
package alone: no Ray, Optuna, MLflow or PyAV.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Row = dict[str, Any]

PARTS = {
    "machine": 40.0, "tests": 200.0, "steps": 150.0, "profile": 60.0, "straightforward": 45.0, "sampling": 45.0,
    "together": 90.0, "learning": 3600.0,
}  # fmt: skip
"""Name -> the most seconds that it may take; each is also ended when the command's minutes are over."""
_LEAST_S = 5.0  # a part that would have less is left out
_RESERVE_S = 5.0  # to write the tables and end the processes


@dataclass(frozen=True)
class Plan:
    """What a part is told.

    Args:
        seconds: that it may take.
        out: folder of the results; `device.json` holds the rows of the parts before.
        store: of real clips; empty: stand-in clips are drawn.
        rehearse: on a CPU, at sizes that show nothing.
    """

    seconds: float
    out: str
    store: str
    rehearse: bool


def main() -> None:
    """Run the parts one after the other, for as long as there is time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--store", type=Path, help="a clip store; left out: stand-in clips are drawn")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rehearse", action="store_true", help="every part on a CPU, at tiny sizes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + args.minutes * 60 - _RESERVE_S
    report = Report(args.out)
    for part in args.parts:
        left = end - time.monotonic()
        seconds = left if args.rehearse else min(PARTS[part], left)
        if seconds < _LEAST_S:
            report.add({"part": part, "failed": "left out: the minutes were over"})
            continue
        plan = Plan(seconds, str(args.out), "" if args.store is None else str(args.store), args.rehearse)
        for row in run_part(part, plan):
            report.add({"part": part, **row})


class Report:
    """The rows so far, on the disk after each."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._rows = folder, list[Row]()

    def add(self, row: Row) -> None:
        """Print and keep a row."""
        print(json.dumps(row), flush=True)
        self._rows.append(row)
        for name, text in (("device.json", json.dumps(self._rows, indent=1)), ("device.md", markdown(self._rows))):
            file = self._folder / f"{name}.tmp"
            file.write_text(text)
            file.replace(self._folder / name)


def run_part(part: str, plan: Plan, command: Callable[[str, Plan], list[str]] | None = None) -> Iterator[Row]:
    """Yield a part's rows, as its process prints them.

    The last row says the reason if it failed, and how long it took.

    Args:
        command: what to start; for tests.
    """
    start = time.monotonic()
    process = subprocess.Popen(
        (command or _command)(part, plan), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    lines: queue.Queue[str | None] = queue.Queue()
    errors: list[str] = []
    for reader in (lambda: _read(process.stdout, lines.put), lambda: _read(process.stderr, errors.append)):
        threading.Thread(target=reader, daemon=True).start()
    failed = ""
    try:
        while not failed:
            try:
                line = lines.get(timeout=max(plan.seconds - (time.monotonic() - start), 0.01))
            except queue.Empty:
                failed = f"ended by the clock after {plan.seconds:.0f} s"
                break
            if line is None:
                break
            if line.startswith("{"):
                yield json.loads(line)
    finally:
        _end(process, kill=bool(failed))
    if not failed and process.returncode:
        said = [line.strip() for line in errors if line and line.strip()]
        failed = f"exit code {process.returncode}: {said[-1] if said else 'nothing was said'}"
    yield {"seconds": round(time.monotonic() - start, 1), **({"failed": failed} if failed else {})}


def _command(part: str, plan: Plan) -> list[str]:
    return [sys.executable, "-m", "benchmarks.device_parts", part, json.dumps(asdict(plan))]


def _read(stream: Any, put: Callable[[Any], object]) -> None:
    for line in stream:
        put(line)
    put(None)


def _end(process: subprocess.Popen[str], kill: bool) -> None:
    """Wait for the process, and end what it started itself."""
    if kill or process.poll() is None:
        try:
            process.wait(0 if kill else 5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def markdown(rows: list[Row]) -> str:
    """Format the rows as Markdown: a table for each part, a column for each value."""
    text = ["# Measured on a device", ""]
    for part in dict.fromkeys(row["part"] for row in rows):
        mine = [{key: value for key, value in row.items() if key != "part"} for row in rows if row["part"] == part]
        measured = [row for row in mine if not set(row) <= {"seconds", "failed"}]
        columns = list(dict.fromkeys(key for row in measured for key in row))
        text += [f"## {part}", ""]
        if measured:
            text += [_line(columns), _line(["---"] * len(columns))]
            text += [_line([_cell(row.get(column)) for column in columns]) for row in measured]
            text += [""]
        text += [f"Not whole: {row['failed']}." for row in mine if row not in measured and "failed" in row]
        text += [f"{row['seconds']} s." for row in mine if row not in measured and "seconds" in row] + [""]
    return "\n".join(text)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else str(value).replace("|", "/").replace("\n", " ")


if __name__ == "__main__":
    main()
