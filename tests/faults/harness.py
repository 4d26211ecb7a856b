"""Real studies in real processes, small enough to be killed often."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
PRETRAIN, ITERATIONS = 4, 20
TOTAL = PRETRAIN + ITERATIONS
TINY = [
    "train.architecture=tiny",
    "train.motion_dim=4",
    "train.content_share=0.9",  # mostly the cheap step; every kind occurs all the same
    "train.sequence_share_end=0.3",
    "space.ngf={values: [1, 2]}",
    "space.content_dim={values: [4, 8]}",
    f"budget.pretrain_iterations={PRETRAIN}",
    f"budget.iterations={ITERATIONS}",
    "resources.cpus_per_trial=1",
    "scoring.validation_clips=4",
    "scoring.report_clips=4",
    "scoring.classifier={widths: [4, 8, 8, 16], iterations: 20, batch_size: 4, lr: 5.0e-4, lr_decay: 0.995, "
    "eval_every: 20}",
]


class Driver:
    """`tune_runner.py` in a process of its own.

    Args:
        out: the study's folder.
        arguments: beyond those of a tiny study.
        program: another one that takes the same arguments.
        launcher: what stands before python, such as `setpriv ...`.
        output: where its words go in place of `text`.
        environment: what of it differs from this process's.
    """

    def __init__(
        self,
        out: Path,
        *arguments: str,
        program: tuple[str, ...] = ("tune_runner.py",),
        launcher: tuple[str, ...] = (),
        output: IO[bytes] | int | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        sets = [part for text in TINY for part in ("--set", text)]
        study = ["--dataset", "weizmann", "--preset", "smoke", "--out", str(out), *sets, *arguments]
        self._start([*launcher, sys.executable, *program, *study], out, output, environment)

    @classmethod
    def typed(cls, line: str, out: Path) -> Driver:
        """A command as the terminal showed it."""
        driver = cls.__new__(cls)
        driver._start([sys.executable, *shlex.split(line)[1:]], out)
        return driver

    def _start(
        self,
        command: list[str],
        out: Path,
        output: IO[bytes] | int | None = None,
        changes: dict[str, str] | None = None,
    ) -> None:
        self.out, self.started = out, time.monotonic()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - apart from the study, whose disk may be full
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        environment |= {"MLFLOW_HTTP_REQUEST_TIMEOUT": "2", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
        heard = self._log if output is None else output
        environment |= changes or {}
        # A hangup reaches it, though these tests may run under nohup.
        hears = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=heard, stderr=heard, preexec_fn=hears
        )

    @property
    def text(self) -> str:
        """What it has said so far."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def wait_for(self, happened: Callable[[], object], timeout_s: float = 300) -> bool:
        """Wait until it happened; False: the driver ended before.

        Raises:
            AssertionError: neither came.
        """
        deadline = time.monotonic() + timeout_s
        while not happened():
            if self.process.poll() is not None:
                return bool(happened())
            assert time.monotonic() < deadline, f"waited {timeout_s:g} s in vain:\n{self.text}"
            time.sleep(0.005)
        return True

    def says(self, pattern: str) -> Callable[[], object]:
        """Whether it has said so."""
        return lambda: re.search(pattern, self.text)

    def finish(self, timeout_s: float = 900) -> int:
        """Its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:g} s:\n{self.text}") from None

    def family(self) -> list[psutil.Process]:
        """Its processes."""
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def worker(self) -> psutil.Process:
        """The process of the trial at work."""
        return next(process for process in self.family() if "JobActor" in title(process))

    def kill(self, number: int = signal.SIGKILL) -> float:
        """Send a signal and wait for the end; after a SIGKILL no process may work on.

        Ray's two agents wait for their dead server for about a minute more; they do nothing for a study.

        Returns:
            Seconds until the last of its processes, agents left out, was gone.
        """
        family = [process for process in self.family() if "Agent" not in title(process)]
        begun = time.monotonic()
        self.process.send_signal(number)
        self.finish()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"these outlive their driver: {[title(process) for process in alive]}"
        return time.monotonic() - begun

    def end(self) -> None:
        """For the end of a test: nothing stays."""
        family = self.family()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for process in family:
            if process.is_running():
                process.kill()


def title(process: psutil.Process) -> str:
    """What a process calls itself; empty when it is gone."""
    try:
        return " ".join(process.cmdline()).strip()
    except psutil.Error:
        return ""


def at_work(out: Path) -> Callable[[], object]:
    """Whether some trial has written since now."""
    before = _size(out)
    return lambda: _size(out) != before


def in_checkpoint(out: Path) -> Callable[[], object]:
    """Whether a checkpoint is being written right now."""
    return lambda: next((file for run in _runs(out) for file in run.glob("checkpoints/.*.tmp")), None)


def in_final(out: Path) -> Callable[[], object]:
    """Whether a final run is at work."""
    return lambda: next(out.glob("final/*/metrics.jsonl"), None)


def train_lines(folder: Path) -> list[dict[str, Any]]:
    file = folder / "metrics.jsonl"
    texts = file.read_text().splitlines(keepends=True) if file.exists() else []
    lines = [json.loads(text) for text in texts if text.endswith("\n")]
    return [line for line in lines if line["kind"] == "train"]


def status(out: Path, server: str = "") -> dict[str, Any]:
    command = [sys.executable, "tune_runner.py", "status", "--out", str(out), "--json"]
    command += ["--tracking-uri", server] if server else []
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout)
    return values


def moment(kind: str, driver: Driver, chance: random.Random) -> None:
    """Wait for a moment to die: anywhere in the `start`, at `work`, in a `checkpoint` or in `final`."""
    if kind == "start":
        time.sleep(chance.uniform(0, 6))
        return
    happened = {"work": at_work, "checkpoint": in_checkpoint, "final": in_final}[kind](driver.out)
    if driver.wait_for(happened) and kind != "checkpoint":
        time.sleep(chance.uniform(0, 2.5))


def _size(out: Path) -> int:
    total = 0
    for run in _runs(out):
        try:
            total += (run / "metrics.jsonl").stat().st_size
        except FileNotFoundError:
            continue
    return total


def _runs(out: Path) -> Iterator[Path]:
    """Folders of trials and final runs."""
    for stage in ("trials", "final"):
        yield from (out / stage).glob("*")


Start = Callable[..., Driver]
"""Starts a driver that ends with its test."""
