"""A study that is given hours, on a CPU: planned by times measured there, and ended in time for its final stage."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ledger import audit
from tests.faults.gated import gate
from tests.faults.harness import ITERATIONS, ROOT, TINY, Start, status
from tests.faults.scenes import Ended

HOURS, TRIALS, PROGRAM = 5, 3, ("-m", "tests.faults.gated")


@dataclass(frozen=True)
class Overrun:
    """A study whose hours were used up while its second trial ran.

    Args:
        out: its folder.
        planned: its plan, as it was before.
        last: end of the driver that found them used up.
        again: end of the same command after that.
        found: as `status` says then.
        wrong: found by the audit.
    """

    out: Path
    planned: dict[str, Any]
    last: Ended
    again: Ended
    found: dict[str, Any]
    wrong: list[str]


def overrun(runs: Path, start: Start) -> Overrun:
    """One trial ends, the next rests at its first score; then the clock is set forward, as if that had taken hours."""
    out = runs / "overrun"
    arguments = ["--hours", str(HOURS), "--trials", str(TRIALS), "--set", "scheduler.kind=none"]
    arguments += ["--set", "final={report: {seeds: 1}, confirm: {top_k: 1}}"]
    driver = start(out, *arguments, program=PROGRAM)
    assert driver.wait_for((out / "trials" / "000").exists)
    gate(out, 0).touch()
    second = out / "trials" / "001" / "metrics.jsonl"
    assert driver.wait_for(lambda: second.exists() and '"score"' in second.read_text())
    driver.kill()
    planned: dict[str, Any] = json.loads((out / "stages" / "hours.json").read_text())
    (out / "stages" / "hours.json").write_text(json.dumps({**planned, "used_s": HOURS * 3600}))
    last = start(out, *arguments, program=PROGRAM)
    assert last.wait_for(last.says("the sweep ends now"))
    gate(out).touch()
    ended = Ended.of(last)
    again = Ended.of(start(out, *arguments, program=PROGRAM))
    return Overrun(out, planned, ended, again, status(out), audit(out, 2).wrong)


@pytest.mark.plays(scene=overrun)
def test_the_study_is_planned_by_what_was_measured_and_what_the_user_set_stays(played: Overrun) -> None:
    plan = played.planned
    assert (plan["hours"], plan["trials"], plan["iterations"]) == (HOURS, TRIALS, ITERATIONS)
    assert plan["trial_s"] > 0
    assert "measured" in plan["source"]
    assert 0 < plan["used_s"] < HOURS * 3600


@pytest.mark.plays(scene=overrun)
def test_an_overrun_ends_the_sweep_and_the_final_stage_follows(played: Overrun) -> None:
    assert played.last.code == 0, played.last.text
    assert "verdict:" in played.last.text
    outcomes = [json.loads((played.out / f"trials/{n:03d}/outcome.json").read_text()) for n in (0, 1)]
    assert [outcome["state"] for outcome in outcomes] == ["complete", "pruned"]
    assert outcomes[1]["reason"].startswith("stopped as the hours of the study are used up at iteration")
    assert outcomes[1]["values"]
    assert sorted(folder.name for folder in (played.out / "trials").iterdir()) == ["000", "001"]
    assert played.wrong == []


@pytest.mark.plays(scene=overrun)
def test_the_same_command_again_begins_no_trial(played: Overrun) -> None:
    assert played.again.code == 0, played.again.text
    assert "3 sweep: all 2 trials are done" in played.again.text
    assert (played.found["stage"], played.found["asked"], played.found["agree"]) == ("done", 2, True)


def test_the_dry_run_says_what_it_chose_and_what_more_would_buy(runs: Path) -> None:
    done = _dry_run(runs, "1")
    assert done.returncode == 0, done.stderr
    chosen = re.search(r"^hours +1: (\d+) trials of ([\d,]+) iterations", done.stdout, re.MULTILINE)
    assert chosen, done.stdout
    assert f"{chosen[1]} trials x" in done.stdout
    assert re.search(r"^ +2 hours|64 trials", done.stdout, re.MULTILINE)
    assert re.search(r"by +measured: \d+ iterations of the published and the largest setting", done.stdout)
    assert not (runs / "planned").exists()


def test_too_few_hours_are_refused_with_a_number_that_works_when_pasted(runs: Path) -> None:
    refused = _dry_run(runs, "1e-6")
    assert refused.returncode == 2
    way_on = re.search(r"--hours 1e-06 is too little: .*; use --hours ([\d.]+)$", refused.stderr.strip())
    assert way_on, refused.stderr
    assert float(way_on[1]) > 0


@pytest.mark.parametrize("hours", ["0", "-3", "nan", "many"])
def test_what_is_no_number_of_hours_is_refused(runs: Path, hours: str) -> None:
    refused = _dry_run(runs, hours)
    assert refused.returncode == 2
    assert "must be a number above 0" in refused.stderr


def _dry_run(runs: Path, hours: str) -> subprocess.CompletedProcess[str]:
    sets = [part for text in TINY if not text.startswith("budget.iterations") for part in ("--set", text)]
    study = ["--dataset", "weizmann", "--preset", "smoke", "--out", str(runs / "planned"), *sets]
    command = [sys.executable, "tune_runner.py", *study, f"--hours={hours}", "--dry-run"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
