"""Studies side by side: hours add up, only complete trials count, and what does not compare is said."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis.beside import best_so_far, caution, plot_beside, read_studies, settings_beside, verdicts_beside
from analysis.reading import Study
from tsvan.validation import UserError


def test_the_best_so_far_is_of_complete_trials_and_all_hours_count(study: Study) -> None:
    rows = [
        {"number": 0, "state": "complete", "score": 5.0, "seconds": 3600.0},
        {"number": 1, "state": "pruned", "score": 9.0, "seconds": 1800.0},
        {"number": 2, "state": "complete", "score": 4.0, "seconds": 3600.0},
        {"number": 3, "state": "failed", "score": float("nan"), "seconds": float("nan")},
        {"number": 4, "state": "complete", "score": 6.0, "seconds": 3600.0},
        {"number": 5, "state": "diverged", "score": float("nan"), "seconds": 900.0},
    ]
    found = best_so_far(replace(study, trials=pd.DataFrame(rows[::-1])))
    assert found.to_dict("list") == {"hours": [1.0, 3.5, 3.75], "score": [5.0, 6.0, 6.0], "number": [0, 4, 4]}


def test_a_store_gives_its_finished_studies_or_those_that_are_named(uri: str, study: Study) -> None:
    assert [found.name for found in read_studies(uri)] == ["made"]
    assert [found.name for found in read_studies(uri, f"young, {study.run_id}")] == ["young", "made"]
    with pytest.raises(UserError, match="no study 'nothing'"):
        read_studies(uri, "nothing")


def test_each_study_has_its_line_its_settings_and_its_verdict(uri: str, study: Study) -> None:
    studies = read_studies(uri, "made, young")
    assert [trace.name for trace in plot_beside(studies).data] == ["made", "young"]
    table = settings_beside(studies)
    assert list(table["study"]) == ["made", "young"]
    assert set(study.parameters) <= set(table)
    assert list(table["trials"]) == [len(found.trials) for found in studies]
    assert list(verdicts_beside(studies)["verdict"])[1] == "none yet"


def test_what_does_not_compare_is_said(study: Study) -> None:
    assert caution([study, study]).startswith("Clips, scorer, objective and budget are the same")
    other = replace(study, record=replace(study.record, store_hash="other"), tags={**study.tags, "scorer.hash": "x"})
    assert "differ in clips and scorers" in caution([study, other])
