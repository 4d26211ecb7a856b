"""Smoke studies steered as docs/search.md says, by files of the user's own in the folder that they start in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "search.md").read_text()
SMALL = [
    "train.architecture=tiny",
    "train.kernel_init=published",
    "sampler.startup_trials=2",
    "scoring.classifier={iterations: 6, eval_every: 3, widths: [8, 8, 8, 16]}",
]

SAMPLER = """
import optuna

class Steps(optuna.samplers.BaseSampler):
    def __init__(self, parts=4):
        self.parts = parts

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        share = trial.number % self.parts / self.parts
        return param_distribution.low + share * (param_distribution.high - param_distribution.low)
"""


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def study(folder: Path, *overrides: str) -> tuple[dict[str, Any], optuna.Study, str]:
    """Run a study as a user does, in a folder with the page's examples in it; return summary, study and report."""
    rule, metric = blocks()
    (folder / "my_metrics.py").write_text(metric)
    (folder / "my_rule.py").write_text(rule)
    (folder / "my_sampler.py").write_text(SAMPLER)
    command = [sys.executable, str(ROOT / "tune_runner.py"), "--dataset", "weizmann", "--preset", "smoke"]
    command += ["--out", "runs/mine", *(part for text in (*SMALL, *overrides) for part in ("--set", text))]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-4000:]
    out = folder / "runs" / "mine"
    summary = json.loads((out / "summary.json").read_text())
    report = (out / "report.md").read_text() + done.stdout
    return summary, optuna.load_study(study_name=None, storage=f"sqlite:///{out / 'study.db'}"), report


@pytest.mark.slow
def test_a_gaussian_process_over_whole_numbers_judged_by_a_metric_of_ones_own(tmp_path: Path) -> None:
    summary, found, report = study(
        tmp_path,
        "metrics.flicker=my_metrics:flicker",
        "objective=flicker",
        "sampler={kind: GPSampler, deterministic_objective: false}",
        "space={ngf: {low: 8, high: 16}, lambda1: {low: 1e3, high: 1e5, log: true}}",
        "space.content_dim=null",
    )
    assert found.direction == optuna.study.StudyDirection.MINIMIZE
    assert all(isinstance(trial.params["ngf"], int) for trial in found.trials)
    assert all("content_dim" not in trial.params for trial in found.trials)
    complete = [trial.value for trial in found.trials if trial.state.name == "COMPLETE" and trial.value is not None]
    assert summary["best"]["score"] == pytest.approx(min(complete))
    assert all("flicker" in trial["scores"] for trial in summary["trials"] if trial["state"] == "complete")
    assert "flicker" in summary["final"]["winner"]["scores"]
    assert "so that fixed.lambda1=10000.0 no longer counts" in report
    assert "flicker ↓" in report
    assert re.search(r"\| flicker \| -?[\d.]+ \| -?[\d.]+ \| (yes|no) \|", report)  # tested for seeing motion


@pytest.mark.slow
def test_a_sampler_and_a_rule_of_ones_own(tmp_path: Path) -> None:
    _, found, _ = study(
        tmp_path,
        "space=null",
        "space.lambda2={low: 0, high: 8}",
        "sampler={kind: my_sampler:Steps, parts: 4}",
        "scheduler.kind=my_rule:BelowMedian",
        "objective=inception_score",
    )
    assert [trial.params["lambda2"] for trial in found.trials] == [7.0, 2.0, 4.0, 6.0]
    states = {trial.state.name for trial in found.trials}
    assert states <= {"COMPLETE", "PRUNED"}
    assert found.trials[0].state.name == "COMPLETE"


def test_the_page_has_a_rule_and_a_metric_that_can_be_pasted(tmp_path: Path) -> None:
    rule, metric = blocks()
    names: dict[str, Any] = {}
    exec(compile(rule, "rule", "exec"), names)
    judge = names["BelowMedian"]((30,), 2, type("Objective", (), {"better": lambda self, one, other: one > other})())
    assert judge.goes_on(0, 10, 5.0)
    assert not judge.goes_on(1, 10, 4.0)
    exec(compile(metric, "metric", "exec"), names)
    assert names["flicker"].direction == "minimize"
