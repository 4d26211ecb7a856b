"""The final stage from a study's summary. Report, seeds 11 to 14: best 12, 14, 13, 17; published 10, 11, 12, none."""

from __future__ import annotations

import pytest

from analysis.final import Final, final_of, read_final
from analysis.reading import Study, read_study
from sweeps.report.tables import final_table, reruns_table
from tsvan.validation import UserError


@pytest.fixture(scope="module")
def final(study: Study) -> Final:
    return read_final(study)


def test_seeds_are_told_apart(final: Final) -> None:
    assert final.result.winner.by_seed("inception_score") == {11: 12.0, 12: 14.0, 13: 13.0, 14: 17.0}
    assert final.result.published.failed == {14: "diverged: loss is nan"}


def test_keys_of_a_later_version_are_passed_over(final: Final) -> None:
    assert "unheard_of" in final.summary["final"]
    assert final_of(final.summary).result == final.result


def test_the_reports_tables_show_what_mlflow_has(study: Study, final: Final) -> None:
    # Mean 14, deviation √(14 / 3), t of 3 degrees 3.182: half 3.44. Differences 2, 3, 1: half 4.303 / √3 = 2.48.
    row = next(line for line in final_table(final.result) if line.startswith("| inception_score"))
    assert "| 14.0 [10.6, 17.4]" in row
    assert "| 11.0 [8.5, 13.5]" in row
    assert "| +2.0 [-0.5, 4.5]" in row
    table = reruns_table(study.reruns.to_dict("records"), "inception_score")
    calibrated = next(line for line in table if line.startswith("| calibrate"))
    assert "| 3 | 200, 200.1, 200.2 | 200.1 | 0.1 |" in calibrated


def test_a_study_that_has_not_ended_says_what_is_missing(uri: str) -> None:
    with pytest.raises(UserError, match=r"no readable summary\.json"):
        read_final(read_study(uri, "young"))
