"""What happens to two of the studies; the tests look at what they kept."""

from __future__ import annotations

import json
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ledger import audit, delivered, written
from tests.faults.disk import fill, lock, small_disk
from tests.faults.faulty import FAULTS
from tests.faults.harness import Driver, Start, at_work, in_final, status, train_lines
from tests.faults.server import Server, serving

AWAY_S, LOCKED_S = 8, 8


@dataclass(frozen=True)
class Ended:
    """A driver's end."""

    text: str
    code: int

    @classmethod
    def of(cls, driver: Driver) -> Ended:
        code = driver.finish()
        return cls(driver.text, code)


@dataclass(frozen=True)
class Stopped:
    """A study that was stopped by every means.

    Args:
        stops: signal -> end of the driver that got it.
        cut: for each of them, what running trials had written after their newest checkpoint.
        second: end of a second driver on the same study.
        untouched: the second driver left the study's files as they were.
        full: end of the driver whose disk was full; None: no small file system can be mounted here.
        last: end of the driver whose databases were locked for a while.
        wrong: found by the audit.
        agree: as `status` says.
    """

    stops: dict[signal.Signals, Ended]
    cut: list[str]
    second: Ended
    untouched: bool
    full: Ended | None
    last: Ended
    wrong: list[str]
    agree: bool


@dataclass(frozen=True)
class Faulty:
    """A study with a fault in each of its trials, whose server went away for a while and then for good.

    Args:
        out: its folder.
        first: end of the driver that trained without its server.
        again: end of the same command when the server was back.
        kept: `again` left outcomes and lines as they were.
        settled_s: seconds from the last final run's end to the first driver's.
        wrong: found by the audit.
        agree: as `status` says.
    """

    out: Path
    first: Ended
    again: Ended
    kept: bool
    settled_s: float
    wrong: list[str]
    agree: bool

    def folder(self, fault: str) -> Path:
        return self.out / "trials" / f"{FAULTS.index(fault):03d}"

    def outcome(self, fault: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.folder(fault) / "outcome.json").read_text())
        return values


def stopped(runs: Path, start: Start) -> Stopped:
    """SIGINT, a second driver meanwhile, SIGTERM, a full disk, locked databases; always the same command again."""
    disk, trials = runs / "disk", 3
    out, filler = disk / "stopped", disk / "filler"
    stops, cut, full = {}, [], None
    with small_disk(disk) as is_small:
        shutil.copytree(runs / "stores", disk / "stores")
        driver = start(out, "--trials", str(trials))
        for number in (signal.SIGINT, signal.SIGTERM):
            assert driver.wait_for(at_work(out))
            if number == signal.SIGINT:
                before = {file: file.read_bytes() for file in [out / "study.yaml"]}
                second = Ended.of(start(out, "--trials", "9"))
                untouched = {file: file.read_bytes() for file in before} == before
            driver.kill(number)
            stops[number] = Ended.of(driver)
            cut += _after_checkpoint(out)
            driver = start(out, line=printed(driver.text))
        assert driver.wait_for(at_work(out))
        if is_small:
            fill(filler, while_runs=driver)
            full = Ended.of(driver)
            filler.unlink()
            driver = start(out, "--trials", str(trials))
            assert driver.wait_for(at_work(out))
        lock([out / "study.db", disk / "mlflow.db"], LOCKED_S)
        last = Ended.of(driver)
        return Stopped(stops, cut, second, untouched, full, last, audit(out, trials).wrong, status(out)["agree"])


def faulty(runs: Path, start: Start) -> Faulty:
    """A fault in each trial; the server is away for some seconds, later for good, and is back for the same command."""
    out = runs / "faulty"
    with serving(runs / "server") as server:
        arguments = ["--trials", str(len(FAULTS)), "--workers", "2", "--tracking-uri", server.uri]
        arguments += ["--set", "scheduler.kind=none", "--set", "resources.retries=1"]
        program = ("-m", "tests.faults.faulty")
        driver = start(out, *arguments, program=program)
        assert driver.wait_for(at_work(out))
        be_away(server, driver, AWAY_S)
        server.kill()
        assert driver.wait_for(in_final(out), timeout_s=600)
        assert driver.wait_for(driver.says(r"final/.* complete"))
        trained = time.monotonic()
        first = Ended.of(driver)
        settled_s = time.monotonic() - trained
        kept = _kept(out)
        server.start()
        again = Ended.of(start(out, *arguments, program=program))
        wrong, agree = audit(out, len(FAULTS), server.database).wrong, status(out, server.uri)["agree"]
        return Faulty(out, first, again, _kept(out) == kept, settled_s, wrong, agree)


def be_away(server: Server, driver: Driver, seconds: float) -> None:
    """The server goes away under a driver for so long; trials train on, and all that they wrote is delivered then."""
    server.kill()
    until = time.monotonic() + seconds
    assert driver.wait_for(at_work(driver.out), timeout_s=seconds), "training waited for the server"
    time.sleep(max(until - time.monotonic(), 0))
    server.start()
    lines = written(driver.out)
    assert driver.wait_for(lambda: lines <= delivered(driver.out, server.database), timeout_s=60), "not delivered"


def printed(text: str) -> str:
    """The command after "Go on with:"."""
    found = re.search(r"Go on with:\n\s+(python .*)", text)
    assert found, text
    assert found[1].endswith("--resume")
    return found[1]


def _after_checkpoint(out: Path) -> list[str]:
    """Running trials whose last line is not that of their newest checkpoint."""
    found = []
    for folder in (out / "trials").iterdir():
        trained = train_lines(folder)
        if trained and not (folder / "outcome.json").exists():
            saved = max(int(file.name.split(".")[0]) for file in folder.glob("checkpoints/*.pt"))
            found += [folder.name] if trained[-1]["iteration"] != saved else []
    return found


def _kept(out: Path) -> dict[Path, Any]:
    """Outcomes and lines of all runs."""
    outcomes = {file: file.read_bytes() for file in out.glob("*/*/outcome.json")}
    return {**outcomes, **{folder: train_lines(folder) for folder in out.glob("*/*") if folder.is_dir()}}
