"""What users ask of a study while it runs, from another process, and across the death of its driver."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ledger import audit
from tests.faults.gated import gate
from tests.faults.harness import ROOT, Driver, Start, status, title, train_lines
from tests.faults.scenes import Ended

OWN, PROGRAM = 2, ("-m", "tests.faults.gated")


@dataclass(frozen=True)
class Steered:
    """A study to which a trial was added, one stopped, which was paused, killed, given workers and resumed.

    Args:
        out: its folder.
        paused: as `status` says while it is paused.
        workers_while_paused: processes of trials at that time.
        killed: the text of the driver that was killed.
        last: end of the driver that went on.
        found: as `status` says at the end.
        wrong: found by the audit.
    """

    out: Path
    paused: dict[str, Any]
    workers_while_paused: list[str]
    killed: str
    last: Ended
    found: dict[str, Any]
    wrong: list[str]

    def read(self, trial: int, file: str) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.out / f"trials/{trial:03d}" / file).read_text())
        return values

    def job_of(self, lambda2: float) -> int:
        """The trial with this setting."""
        (found,) = [n for n in range(OWN + 2) if self.read(n, "job.json")["params"]["lambda2"] == lambda2]
        return found


def steered(runs: Path, start: Start) -> Steered:
    """Trials rest after a score, so that nothing here depends on how fast anything is."""
    out = runs / "steered"
    arguments = ["--trials", str(OWN), "--workers", "1", "--set", "scheduler.kind=none"]
    arguments += ["--set", "final.report.seeds=1"]
    driver = start(out, *arguments, program=PROGRAM)
    assert driver.wait_for(_scored(out, 0))
    _asked("add", out, "lambda2=5", "ngf=2")
    _asked("stop", out, "0")
    assert driver.wait_for(_scored(out, 1))
    _asked("pause", out)
    assert driver.wait_for(driver.says("nothing runs and all is saved"))
    paused = status(out)
    working = [title(process) for process in driver.family() if "JobActor" in title(process)]
    _asked("add", out, "lambda2=6.5")
    driver.kill()
    _asked("workers", out, "2")
    last = start(out, *arguments, program=PROGRAM)
    assert last.wait_for(last.says("nothing runs and all is saved"))
    _asked("resume", out)
    assert last.wait_for(lambda: _scored(out, 2)() and len(_at_work(last)) == 2)
    gate(out).touch()
    ended = Ended.of(last)
    return Steered(out, paused, working, driver.text, ended, status(out), audit(out, OWN + 2).wrong)


pytestmark = pytest.mark.plays(scene=steered)


def test_the_study_ends_whole_with_the_added_trials_beside_its_own(played: Steered) -> None:
    assert played.last.code == 0, played.last.text
    assert "Traceback" not in played.killed + played.last.text
    assert played.wrong == []
    assert played.found["agree"]
    assert (played.found["stage"], played.found["asked"]) == ("done", OWN + 2)


def test_a_trial_ends_as_stopped_by_its_user_with_its_score(played: Steered) -> None:
    outcome = played.read(0, "outcome.json")
    assert outcome["state"] == "pruned"
    assert outcome["reason"] == f"stopped by its user at iteration {outcome['iteration']}"
    scores = [json.loads(line) for line in (played.out / "trials/000/metrics.jsonl").read_text().splitlines()]
    last = [line for line in scores if line["kind"] == "score"][-1]
    assert (outcome["iteration"], outcome["values"]) == (last["iteration"], last["values"])


def test_an_added_trial_runs_next_with_its_settings(played: Steered) -> None:
    job = played.read(1, "job.json")
    assert (job["params"]["lambda2"], job["params"]["ngf"]) == (5.0, 2)
    assert job["origin"] == "added by its user"
    assert played.read(1, "outcome.json")["state"] == "complete"


def test_what_is_asked_of_a_driver_that_dies_is_done_once_by_the_next(played: Steered) -> None:
    assert played.read(played.job_of(6.5), "outcome.json")["state"] == "complete"
    done = [one["done"] for one in played.found["instructions"]["asked"]]
    assert done == [
        "trials/001",
        f"pruned at iteration {played.read(0, 'outcome.json')['iteration']}",
        "nothing runs, all is saved",
        f"trials/{played.job_of(6.5):03d}",
        "2 at a time",
        "the study goes on",
    ]


def test_a_paused_study_has_let_go_of_the_machine_and_loses_nothing(played: Steered) -> None:
    assert played.paused["instructions"]["paused"]
    assert played.workers_while_paused == []
    trained = [line["iteration"] for line in train_lines(played.out / "trials/001")]
    assert trained == list(range(1, len(trained) + 1))
    assert not list(played.out.glob("trials/*/leave"))


def test_the_next_driver_keeps_to_the_pause_and_to_the_workers_that_were_asked_for(played: Steered) -> None:
    text = played.last.text
    assert text.index("paused by its user") < text.index("resumed by its user") < text.index("begins")
    assert "2 at a time" in text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["add", "lambda2=50"], "lambda2 must be from 3 to 8 in this study, got 50"),
        (["stop", "0"], "the trial has ended (pruned); no trial is without an end now"),
        (["stop", "99"], "no such trial"),
        (["resume"], "is not paused; see it with: python tune_runner.py status --out"),
        (["workers", "none"], "must be a number from 1 to 10,000, or auto"),
    ],
)
def test_what_can_not_be_followed_is_refused_and_nothing_is_written(
    played: Steered, arguments: list[str], error: str
) -> None:
    before = sorted((played.out / "inbox").iterdir())
    done = _command(arguments[0], played.out, *arguments[1:])
    assert done.returncode == 2
    assert error in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted((played.out / "inbox").iterdir()) == before


def _asked(command: str, out: Path, *arguments: str) -> None:
    done = _command(command, out, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("asked (")


def _command(command: str, out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "tune_runner.py", command, "--out", str(out), *arguments]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)


def _scored(out: Path, trial: int) -> Callable[[], bool]:
    """Whether a trial has a score."""
    file = out / f"trials/{trial:03d}" / "metrics.jsonl"
    return lambda: file.exists() and '"score"' in file.read_text()


def _at_work(driver: Driver) -> list[int]:
    return [process.pid for process in driver.family() if "JobActor" in title(process)]
