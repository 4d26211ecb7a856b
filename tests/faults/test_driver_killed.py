"""kill -9 of the driver at random moments, and the same command again."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import time
from pathlib import Path

import pytest

from benchmarks.ledger import audit
from tests.faults.harness import TOTAL, Start, at_work, moment, status, train_lines

FEW = ["start", "work", "checkpoint", "work", "final"]
MANY = [*["start"] * 3, *["work"] * 7, *["checkpoint"] * 7, "work", "checkpoint", "work", "final", "final", "final"]


def five_kills(runs: Path, start: Start) -> Path:
    """In a folder where nothing is yet: clips, scorer and MLflow's store are made under the kills, too."""
    out = runs / "alone" / "killed"
    survive(out, start, FEW, trials=4, seed=7)
    return out


def many_kills(runs: Path, start: Start) -> None:
    survive(runs / "often" / "killed", start, MANY, trials=12, seed=random.randrange(10**6))


@pytest.mark.plays(scene=five_kills)
def test_five_kills_lose_nothing_and_the_audit_would_see_it(played: Path) -> None:
    out = played
    journal = out / "trials" / "000" / "metrics.jsonl"
    kept = journal.read_bytes()
    line = next(line for line in kept.splitlines(keepends=True) if b'"train"' in line)
    for spoiled in (kept.replace(line, b"", 1), kept + line):  # a line missing, a line double
        journal.write_bytes(spoiled)
        assert audit(out, 4).wrong != []
    journal.write_bytes(kept)
    assert audit(out, 3).wrong != []
    spoil = ["DELETE FROM metrics WHERE step = 5", "UPDATE runs SET status = 'RUNNING'", "DELETE FROM tags"]
    for statement in spoil:
        copy = out.parent / "spoiled.db"
        shutil.copy(out.parent / "mlflow.db", copy)
        with sqlite3.connect(copy) as database:
            database.execute(statement)
        assert audit(out, 4, copy).wrong != []
    assert audit(out, 4).wrong == []


@pytest.mark.slow
@pytest.mark.plays(scene=many_kills)
def test_more_than_twenty_kills_lose_nothing(played: None) -> None:
    """All is asserted on the way."""


def survive(out: Path, start: Start, kinds: list[str], trials: int, seed: int) -> None:
    print(f"moments from seed {seed}", flush=True)
    chance = random.Random(seed)
    ended: dict[str, bytes] = {}
    trained: dict[str, dict[int, int]] = {}
    for kind in kinds:
        driver = start(out, "--trials", str(trials))
        moment(kind, driver, chance)
        assert driver.process.poll() is None, f"the study ended before it could be killed in {kind}:\n{driver.text}"
        seconds = driver.kill()
        lost = sum(len(train_lines(folder)) - len(safe(folder)) for folder in out.glob("*/*"))
        print(f"killed in {kind}; its last process went {seconds:.1f} s later; {lost} iteration(s) to train again")
        ended |= {str(file): file.read_bytes() for file in out.glob("*/*/outcome.json")}
        trained |= {str(folder): safe(folder) for folder in out.glob("*/*") if folder.is_dir()}
    last = start(out, "--trials", str(trials))
    last.wait_for(at_work(out))
    print(f"the same command was at work after {time.monotonic() - last.started:.1f} s")
    assert last.finish() == 0, last.text
    assert {name: Path(name).read_bytes() for name in ended} == ended, "a finished trial ran again"
    for folder, times in trained.items():
        now = {line["iteration"]: line["time_ms"] for line in train_lines(Path(folder))}
        again = [iteration for iteration, time in times.items() if now.get(iteration) != time]
        assert not again, f"{folder} trained iterations again that were safe: {again}"
    for file in out.glob("*/*/outcome.json"):
        outcome = json.loads(file.read_text())
        iterations = [line["iteration"] for line in train_lines(file.parent)]
        assert iterations == list(range(1, max(iterations) + 1))
        assert (outcome["state"] != "complete") or max(iterations) == TOTAL
    assert audit(out, trials).wrong == []
    assert status(out)["agree"] is True


def safe(folder: Path) -> dict[int, int]:
    """Iteration -> when it was trained, as far as the newest checkpoint goes; of a run that has ended, all."""
    kept = max((int(file.name.split(".")[0]) for file in folder.glob("checkpoints/*.pt")), default=0)
    ended = (folder / "outcome.json").exists()
    return {line["iteration"]: line["time_ms"] for line in train_lines(folder) if ended or line["iteration"] <= kept}
