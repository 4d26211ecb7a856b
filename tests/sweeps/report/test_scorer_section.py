from __future__ import annotations

from sweeps.report.scorer_section import trust_lines
from tests.sweeps.report.scorer_results import SCORER


def test_accuracy_bounds_and_gaps_are_shown() -> None:
    text = "\n".join(trust_lines(SCORER))
    assert "person x action 0.975 (last iteration 0.950, chance 0.025); the action asked for 1.000." in text
    assert "| real | 9 | 1 | -0.01 |" in text
    assert "in standard errors over 28 held-out videos; only a metric with 3 or more of each may steer" in text
    assert "| metric | shuffled | may steer |" in text
    assert "| inception_score | -1.0 | no |" in text
    assert "| kernel_distance | 3.0 | yes |" in text


def test_growth_marks_the_groups_and_ends_where_the_clips_end() -> None:
    lines = trust_lines(SCORER)
    assert "| 16 | 5 ± 0.5 | 0.125 ± 0.25 |" in lines
    assert "| **1,024** (validation) | 9 ± 0.1 | - |" in lines
    assert lines[-1] == "| **9,000** (report) | 9.25 ± 0 | - |"


def test_groups_of_one_size_share_a_row() -> None:
    marked = {"validation": 9_000, "report": 9_000}
    assert trust_lines({**SCORER, "marked": marked})[-1].startswith("| **9,000** (validation, report) |")


def test_stand_ins_are_never_called_real() -> None:
    text = "\n".join(trust_lines(SCORER, "stand-in"))
    assert "| stand-in | 9 | 1 | -0.01 |" in text
    assert "real" not in text
