"""What a study costs, measured on this device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sweeps.commands import dry_run, speed
from sweeps.commands.speed import Speed, counted_speed, measured_speed
from sweeps.config.load import load
from tsvan.cost import train_gflop
from tsvan.data.store import ClipStore

DEMO = [
    "budget.iterations=40", "budget.pretrain_iterations=0", "budget.batch_size=4",
    "space.ngf.values=[2,4]", "space.content_dim.values=[8]", "fixed.motion_dim=4",
]  # fmt: skip


def test_iterations_over_the_whole_run_are_timed(weizmann_store: ClipStore, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load("weizmann", "demo", DEMO)[0]
    taken: dict[int, list[int]] = {}

    def take(trainer: object, iteration: int) -> float:
        taken.setdefault(trainer.config.model.ngf, []).append(iteration)  # type: ignore[attr-defined]
        return 0.5

    monkeypatch.setattr(speed, "_take", take)
    found = measured_speed(config, weizmann_store, torch.device("cpu"))
    assert sorted(taken) == [4, config.base.model.ngf]
    for first, *timed in taken.values():
        assert first == 40  # not timed: it chooses and compiles
        assert sorted(timed) == list(range(2, 41, 2))
    assert found.published_s == 40 * 0.5 * 4 / 2  # batches of 2 in place of 4
    assert found.clip_s > 0
    assert "40 iterations" in found.source


def test_a_real_iteration_is_taken_in_its_place(weizmann_store: ClipStore) -> None:
    config = load("weizmann", "demo", DEMO)[0]
    found = measured_speed(config, weizmann_store, torch.device("cpu"))
    assert found.largest_s > 0
    assert found.source.endswith("this CPU as busy as it is")


def test_the_cost_is_runs_times_speed() -> None:
    config = load("weizmann", "demo", ["calibrate.seeds=2", "final.report.seeds=3", "trials=8"])[0]
    cost = dry_run.estimate(config, Speed(10.0, 30.0, 0.1, "told"), cuda=False, num_classes=10)
    trial = 20.0 + 10 * config.num_clips("validation", 10) * 0.1
    assert cost.trial_s == pytest.approx(trial)
    assert cost.sweep_s == pytest.approx(10 * trial)
    assert cost.final_s == pytest.approx(6 * (20.0 + config.num_clips("report", 10) * 0.1))
    assert cost.source == "told"


def test_without_a_measurement_operations_are_counted() -> None:
    config = load("weizmann")[0]
    found = counted_speed(config, 2)
    assert found.published_s == pytest.approx(train_gflop(config.base) / 70)
    assert found.largest_s > found.published_s
    assert "not measured" in found.source


def test_a_setting_that_does_not_fit_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweeps.commands.request import Request, resolve

    request = resolve(Request("weizmann", "demo", out=tmp_path / "study"))

    def full(*_: object) -> Speed:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(speed, "measured_speed", full)
    shown: list[str] = []
    monkeypatch.setattr(dry_run, "show", lambda _, cost, *words: shown.append(cost.source))
    assert dry_run.plan(replace(request, cuda=False), allow_slow=False, mlflow="answers", optuna="study.db")
    assert shown == ["by counted operations, not measured"]
