from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.sweeps import own_parts
from tsvan.data.store import ClipStore
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.measured import Measured
from tsvan.scoring.metrics import METRICS, values
from tsvan.scoring.own_metrics import OwnMetric, own_metrics, settled
from tsvan.validation import UserError

PARTS = "tests.sweeps.own_parts"


def some(clips: int = 4, seed: int = 0) -> Measured:
    draws = np.random.default_rng(seed)
    chances = draws.dirichlet(np.ones(3), clips)
    pixels = draws.integers(0, 255, (clips, 3, 10, 8, 8), dtype=np.uint8)
    return Measured(draws.normal(size=(clips, 5)), chances, np.zeros(clips, dtype=np.int64), 3, clips=pixels)


def test_a_function_says_its_direction_and_title_and_is_an_entry_as_those_that_ship() -> None:
    entry = settled("flicker", OwnMetric(f"{PARTS}:flicker"))
    assert (entry.direction, entry.title) == (
        "minimize",
        "How far the mean change between frames is from that of real clips",
    )
    metric = own_metrics({"flicker": entry})["flicker"]
    assert (metric.direction, metric.needs, metric.source) == ("minimize", "clips", entry.source)
    assert metric.better(1, 2)
    assert values({"flicker": metric}, some(), some(seed=1))["flicker"] == pytest.approx(
        own_parts.flicker(some(), some(seed=1))
    )


def test_an_entry_of_ones_own_is_taken_as_it_is() -> None:
    metric = own_metrics({"confidence": settled("confidence", OwnMetric(f"{PARTS}:CONFIDENCE"))})["confidence"]
    assert (metric.direction, metric.needs, metric.resampled) == ("maximize", None, True)
    assert metric.compute(some(), some()) == pytest.approx(some().probabilities.max(1).mean())


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        (
            "flicker",
            f"{PARTS}:flick",
            "metrics.flicker: no 'flick' in tests.sweeps.own_parts:flick; did you mean 'flicker'",
        ),
        ("flicker", "nowhere:flicker", "metrics.flicker: no module 'nowhere' in "),
        ("flicker", "flicker", "expected module:name, got 'flicker'"),
        ("odd", f"{PARTS}:no_direction", "write below it: no_direction.direction = 'minimize'"),
        ("odd", f"{PARTS}:NOT_A_CLASS", "does not say its direction"),
        ("kernel_distance", f"{PARTS}:flicker", "the name 'kernel_distance' is taken"),
        ("auto", f"{PARTS}:flicker", "the name 'auto' is taken"),
        ("My metric", f"{PARTS}:flicker", "must be small letters, digits and _"),
    ],
)
def test_what_is_no_metric_is_told_in_a_line(name: str, function: str, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as error:
        settled(name, OwnMetric(function))
    assert "\n" not in str(error.value)


def test_what_a_function_raises_is_one_line() -> None:
    metric = own_metrics({"bad": OwnMetric(f"{PARTS}:broken")})["bad"]
    with pytest.raises(UserError, match=r"metrics.bad: tests.sweeps.own_parts:broken raised ValueError: no such; it"):
        metric.compute(some(), some())


def test_another_version_of_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "their_metric_of_today.py"
    file.write_text("def one(generated, real):\n    return 1.0\n\none.direction = 'minimize'\n")
    entry = settled("one", OwnMetric("tests.sweeps.own_parts:flicker"))
    other = OwnMetric("their_metric_of_today:one", "minimize", "", entry.source)
    with pytest.raises(UserError, match="has changed since the study began: scores would not be comparable"):
        own_metrics({"one": other}, tmp_path)
    assert own_metrics({"one": OwnMetric("their_metric_of_today:one")}, tmp_path)["one"].direction == "minimize"


def test_it_is_measured_for_generated_real_and_broken_clips_and_may_steer(
    weizmann: ClipStore, weizmann_scorer: Scorer
) -> None:
    own = own_metrics({name: settled(name, OwnMetric(f"{PARTS}:{name}")) for name in ("flicker",)})
    evaluator = Evaluator(weizmann_scorer, weizmann, metrics={**METRICS, **own})
    scores = evaluator.score([torch.zeros(4, 3, 10, 64, 64)], np.arange(4) % 2, group="validation")
    assert scores.values["flicker"] > 0  # what stands still is not as real clips are
    table = evaluator.sensitivity()
    assert table.rows["static"]["flicker"] > table.rows["real"]["flicker"]
    assert table.evidence("flicker") > 0
    assert set(table.rows["real"]) == set(scores.values)
