"""What happens to studies whose Ray dies, or whose machine has no memory left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.ledger import audit
from tests.faults.harness import Driver, Start, at_work, status, title
from tests.faults.memory import share_in_use, taking_memory
from tests.faults.scenes import Ended, printed

TRIALS = 3
OPEN = {"RAY_AUTH_MODE": "disabled"}
"""Of a cluster without a token, whatever token this machine's user has."""


@dataclass(frozen=True)
class GoneOn:
    """A study that went on.

    Args:
        last: end of its last driver.
        wrong: found by the audit.
        agree: as `status` says.
    """

    last: Ended
    wrong: list[str]
    agree: bool

    @classmethod
    def of(cls, driver: Driver, trials: int = TRIALS) -> GoneOn:
        last = Ended.of(driver)
        return cls(last, audit(driver.out, trials).wrong, status(driver.out)["agree"])


@dataclass(frozen=True)
class Pressed:
    """A study that Ray's memory monitor hit: what it said, how it was ended with one SIGINT, and how it went on."""

    stopped: Ended
    after: GoneOn


@dataclass(frozen=True)
class Bereft:
    """A study on somebody's cluster that died.

    Args:
        first: its end.
        seconds: that took.
        running: runs that MLflow still took for running then.
        after: the printed command in a new cluster at the same address.
    """

    first: Ended
    seconds: float
    running: int
    after: GoneOn


def ray_dies_twice(runs: Path, start: Start) -> GoneOn:
    """kill -9 of the raylet, and of the GCS of the cluster that took its place."""
    out = runs / "ray-dies"
    driver = start(out, "--trials", str(TRIALS), "--set", "scheduler.kind=none")
    for count, name in enumerate(("raylet/raylet", "gcs_server"), 1):
        assert driver.wait_for(at_work(out)), driver.text
        process_of(driver.family(), name).kill()
        said = driver.says(rf"(?s)(goes on in a new cluster.*){{{count}}}")
        assert driver.wait_for(said, timeout_s=120), driver.text
    return GoneOn.of(driver)


def somebodys_cluster_dies(runs: Path, start: Start) -> Bereft:
    """The cluster that was joined dies; the printed command goes on when there is one again."""
    out = runs / "bereft"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--trials", str(TRIALS), "--workers", "1", "--address", f"127.0.0.1:{port}"]
    with ray_cluster(runs / "bereft-ray", port) as head:
        driver = start(out, *arguments, "--set", "scheduler.kind=none", environment=OPEN)
        assert driver.wait_for(at_work(out)), driver.text
        begun = time.monotonic()
        process_of(psutil.Process(head.pid).children(recursive=True), "raylet/raylet").kill()
        first = Ended.of(driver)
        seconds = time.monotonic() - begun
    running = sum(str(run["mlflow"]).upper() == "RUNNING" for run in status(out)["trials"])
    with ray_cluster(runs / "bereft-ray-again", port):
        return Bereft(first, seconds, running, GoneOn.of(start(out, line=printed(first.text))))


def memory_runs_out(runs: Path, start: Start) -> Pressed:
    """Another program takes the memory that Ray's monitor guards; a SIGINT meets the study while it waits for it."""
    out = runs / "pressed"
    share = share_in_use(beyond_gib=2)
    guarded = {"RAY_memory_usage_threshold": f"{share:.4f}"}
    driver = start(out, "--trials", str(TRIALS), "--set", "scheduler.kind=none", environment=guarded)
    waiting, working = driver.says("waiting for memory"), at_work(out)
    assert driver.wait_for(lambda: working() or waiting()), driver.text  # others may take memory, too
    with taking_memory(over=share):
        assert driver.wait_for(waiting, timeout_s=180), driver.text
        driver.kill(signal.SIGINT)
    stopped = Ended.of(driver)
    return Pressed(stopped, GoneOn.of(start(out, "--trials", str(TRIALS), "--set", "scheduler.kind=none")))


def interrupted_while_ray_starts(runs: Path, start: Start) -> tuple[Ended, GoneOn]:
    """Ctrl-C, which reaches all processes of the terminal's group, while Ray is being started."""
    out = runs / "early"
    driver = start(out, "--trials", "1", launcher=("setsid",))
    assert driver.wait_for(lambda: [p for p in driver.family() if "ray_head" in title(p)]), driver.text
    os.killpg(driver.process.pid, signal.SIGINT)
    first = Ended.of(driver)
    return first, GoneOn.of(start(out, "--trials", "1"), 1)


def process_of(family: list[psutil.Process], name: str) -> psutil.Process:
    """The one whose program is so called."""
    return next(process for process in family if name in title(process).split(" ")[0])


@contextmanager
def ray_cluster(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Somebody's cluster on this machine, with one core; it ends with the block."""
    folder.mkdir()
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}"]
    command += ["--num-cpus=1", "--include-dashboard=false", "--disable-usage-stats", "--temp-dir=" + short(folder)]
    with open(folder / "log", "wb") as log:
        head = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env={**os.environ, **OPEN})
    try:
        while b"Ray runtime started" not in (folder / "log").read_bytes():
            assert head.poll() is None, (folder / "log").read_text()
            time.sleep(0.1)
        yield head
    finally:
        family = psutil.Process(head.pid).children(recursive=True) if head.poll() is None else []
        for process in family:
            process.kill()
        head.kill()
        head.wait()


def short(folder: Path) -> str:
    """A short name for a folder: the paths of sockets are limited."""
    link = Path("/tmp") / f"r{os.getpid()}{abs(hash(folder)) % 1000}"
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    return str(link)


def lines_with(text: str, pattern: str) -> list[str]:
    """The lines in which a pattern is found."""
    return [line for line in text.splitlines() if re.search(pattern, line)]
