from __future__ import annotations

import re

import pytest

from sweeps.config.load import load
from sweeps.final.statistics import Interval, interval
from sweeps.report.plotted import PlottedStudy, PlottedTrial
from sweeps.report.tables import (
    cell,
    final_table,
    metrics_table,
    reproduce_table,
    seeds_lines,
    settings_table,
    trials_table,
)
from tests.sweeps.report.final_results import final
from tests.sweeps.report.scorer_results import SCORER

CONFIG = load("weizmann", "smoke", ["objective=inception_score"])[0]
REAL = {"scorer": SCORER, "data_source": "real"}


def test_of_many_trials_the_table_has_the_best_and_says_where_the_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.report.tables.MOST_ROWS", 2)
    rows = tuple(PlottedTrial(n, "complete", dict.fromkeys(CONFIG.space, 4.0), float(n), 1000) for n in range(5))
    lines = trials_table(PlottedStudy(CONFIG, rows))
    assert [line.split("|")[1].strip() for line in lines[2:4]] == ["4", "3"]
    assert lines[4:] == ["", "3 more trials are in `summary.json`, in MLflow and in what `status` prints."]


def test_with_fewer_than_five_seeds_every_value_is_shown() -> None:
    # Of 2, 3, 4: s = 1, half = 4.30265 / √3 = 2.48.
    assert cell("inception_score", interval([2.0, 3.0, 4.0])) == "3.0 [0.5, 5.5] (2.0, 3.0, 4.0)"
    assert cell("inception_score", interval([1.0, 2.0, 3.0, 4.0, 5.0])) == "3.0 [1.0, 5.0]"
    assert cell("inception_score", Interval(3.0, None, None, [3.0])) == "3"
    assert cell("inception_score", None) == "-"


def test_a_frechet_distance_has_no_interval() -> None:
    assert cell("frechet_distance", interval([1.0, 2.0, 3.0, 4.0, 5.0])) == "3"
    assert cell("fvd_i3d", interval([1.0, 2.0])) == "1.5 (1, 2)"
    rows = [line for line in (*final_table(final()), *metrics_table(final(), REAL)) if "best" in line]
    assert not any("[" in part for line in final_table(final()) if "frechet" in line for part in line.split("|"))
    assert rows
    assert not any("[3, 4]" in line for line in seeds_lines(final(), "frechet_distance"))
    assert any("[1, 2]" in line for line in seeds_lines(final(), "inception_score"))


def test_differences_have_their_sign() -> None:
    line = next(line for line in final_table(final()) if line.startswith("| inception_score"))
    assert line == "| inception_score | 4.0 [2.0, 6.0] | 1.0000 [1.0000, 1.0000] | +3.0 [1.0, 5.0] |"


def test_metrics_stand_between_their_bounds_with_n() -> None:
    lines = metrics_table(final(), REAL)
    assert lines[0].startswith("| clips | N | IS ↑ | accuracy ↑ | kernel distance ↓ | Frechet distance ↓ |")
    assert lines[2].startswith("| **best** (trial 3) | 9,000 | 4.0 [2.0, 6.0] | - | - | 40 |")
    assert "| real, held out | 30 (15) | 9 | 1 | -0.01 | - |" in lines
    assert "| shuffled (real clips, broken) | 30 (15) | 9.5 | 0.5 | 0.05 | - |" in lines
    drawn = metrics_table(final(), {"scorer": SCORER, "data_source": "synthetic"})
    assert "| stand-in, held out | 30 (15) | 9 | 1 | -0.01 | - |" in drawn
    assert not any("real" in line for line in drawn)
    assert len(metrics_table(None, REAL)) == len(lines) - 2
    assert "not comparable" in lines[-1]  # its runs are not there to say otherwise


def test_equal_settings_are_one_row() -> None:
    assert sum("published" in line for line in metrics_table(final(same=True), REAL)) == 0
    assert len(seeds_lines(final(same=True), "inception_score")) == 2
    assert len(settings_table(final(same=True), CONFIG)) == 4


def test_settings_stand_as_in_table_3() -> None:
    assert settings_table(None, CONFIG)[2] == (
        "| table 3 | 1e+04 | 7 | 100 | 1e+04 | 2 → 20 | 0.0002 | 16 | 512 | 64 | 500,000 |"
    )


def trial(number: int, state: str, score: float | None, reason: str = "") -> PlottedTrial:
    return PlottedTrial(number, state, {"lambda2": 5.0, "ngf": 16}, score, 1000, 90.0, reason=reason)


def test_complete_trials_come_first_and_best_first() -> None:
    rows = (trial(0, "complete", 1.0), trial(1, "pruned", 9.0), trial(2, "complete", 2.0), trial(3, "failed", None))
    lines = trials_table(PlottedStudy(CONFIG, rows))[2:]
    assert [line.split("|")[1].strip() for line in lines] == ["2", "0", "1", "3"]
    assert "| 1.5 |" in lines[0]  # minutes


def test_scores_are_shown_with_the_digits_that_tell_them_apart() -> None:
    close = PlottedStudy(CONFIG, (trial(0, "complete", 1.23456), trial(1, "complete", 1.23416)))
    assert [line.split("|")[7].strip() for line in trials_table(close)[2:]] == ["1.234560", "1.234160"]


def test_each_run_says_how_to_train_it_again() -> None:
    reruns = [{"name": f"final/{stage}-ab-0", "seed": 77, "mlflow_run_id": stage[0]} for stage in ("confirm", "report")]
    lost = {"name": "final/report-ab-1", "seed": 78, "mlflow_run_id": None}
    summary = {"trials": [{"number": 4, "mlflow_run_id": "r4"}], "reruns": [*reruns, lost]}
    lines = reproduce_table(summary, "sqlite:///runs/mlflow.db")
    assert "| trial 4 | `python tune_runner.py reproduce r4 --tracking-uri sqlite:///runs/mlflow.db` |" in lines
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "trial 4",
        "final/confirm-ab-0 (seed 77)",
        "final/report-ab-0 (seed 77)",
    ]
    assert "--tracking-uri 'sqlite:///my runs/m.db'`" in reproduce_table(summary, "sqlite:///my runs/m.db")[2]


def test_what_others_wrote_is_shown_as_it_is() -> None:
    row = trial(0, "failed", None, "unsupported operand type(s) for |: <class 'int'>\nand more")
    head, _, line = trials_table(PlottedStudy(CONFIG, (row,)))
    assert "for \\|: \\<class 'int'\\> and more |" in line
    assert re.sub(r"\\.", "", line).count("|") == head.count("|")
