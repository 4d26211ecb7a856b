"""The final stage from a study's summary. Report, seeds 11 to 14: best 12, 14, 13, 17; published 10, 11, 12, none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.final import Final, final_of, looks_text, origin, paired_seeds, read_final, seeds_text
from analysis.final_tables import (
    bounds_table,
    confirm_table,
    noise_table,
    report_table,
    reproduce_command,
    runs_table,
    seeds_table,
)
from analysis.reading import Study, read_study
from analysis.seeds import draw_seeds
from sweeps.config.space import published_params
from tests.analysis.studies import summary
from tsvan.validation import UserError


@pytest.fixture(scope="module")
def final(study: Study) -> Final:
    return read_final(study)


def made_summary(study: Study) -> dict[str, dict[str, object]]:
    params = published_params(study.config)[0]
    return summary(study.config, {"best": {**params, "ngf": 32}, "published": params})


def test_seeds_are_told_apart_and_paired(final: Final) -> None:
    assert final.result.winner.by_seed("inception_score") == {11: 12.0, 12: 14.0, 13: 13.0, 14: 17.0}
    assert paired_seeds(final, "inception_score") == {11: (12.0, 10.0), 12: (14.0, 11.0), 13: (13.0, 12.0)}
    assert final.result.published.failed == {14: "diverged: loss is nan"}
    assert paired_seeds(final, "kernel_distance") == {}


def test_a_config_from_a_file_is_named_by_the_end_of_its_path(final: Final) -> None:
    assert origin(final.result.winner) == "trial 19"
    assert origin(replace(final.result.winner, origin="/somewhere/far/trials/003/config.yaml")) == "003/config.yaml"


def test_the_report_has_means_intervals_and_paired_differences(final: Final) -> None:
    table = report_table(final)
    # Mean 14, deviation √(14 / 3), t of 3 degrees 3.182: half 3.44. Differences 2, 3, 1: half 4.303 / √3 = 2.48.
    assert table.loc["IS", "best"].startswith("14.0 [10.6, 17.4]")
    assert table.loc["IS", "published row"].startswith("11.0 [8.5, 13.5]")
    assert table.loc["IS", "best - published"].startswith("+2.0 [-0.5, 4.5]")
    assert table.loc["IS", "better"] == "higher"
    assert table.loc["IS", "real clips"] == "9"  # with as many clips as the report


def test_a_frechet_distance_has_no_interval_and_few_seeds_show_all_points(final: Final) -> None:
    row = report_table(final).loc["frechet_distance"]
    assert not any("[" in text for text in row)
    assert row["best"] == "6.5 (5, 6, 7, 8)"
    assert row["best - published"] == "+0 (-1, +0, +1)"
    assert row["real clips"] == "1 (N = 19)"  # not measured with as many


def test_every_seed_is_listed_with_what_became_of_it(final: Final) -> None:
    table = seeds_table(final)
    assert len(table) == 8
    assert table.loc[("best (trial 19)", 14), "IS"] == "17"
    assert table.loc[("published row (table 3)", 14)].to_list() == ["-", "-", "diverged: loss is nan"]
    assert "trial 19: 4 of 4 seeds completed; table 3: 3 of 4" in seeds_text(final)
    assert "stand-in" not in seeds_text(final)
    assert "stand-in" in seeds_text(replace(final, clips="synthetic"))


def test_the_bounds_are_what_real_and_broken_clips_score(final: Final) -> None:
    table = bounds_table(final)
    assert list(table.index) == ["real", "static"]
    assert table.loc["real"].to_list() == ["19", "1"]


def test_the_noise_is_listed_by_stage_and_config(study: Study) -> None:
    table = noise_table(study)
    row = table.loc["calibrate"]
    assert row.to_list() == ["trial 0 (table 3)", 3, "200, 200.1, 200.2", "200.1", "0.1"]
    assert table.loc["report", "config"].to_list() == ["trial 0 (table 3)", "trial 19"]


def test_the_confirm_stage_is_ranked_by_its_means(study: Study, final: Final) -> None:
    table = confirm_table(study, final)
    assert table["config"].to_list() == ["trial 19", "trial 0 (table 3)"]
    assert table.loc[1].to_list() == ["trial 19", "31", 2, "30, 32"]
    assert confirm_table(study, replace(final, result=replace(final.result, confirm={}))).empty


def test_each_number_has_its_run_and_the_command_for_it(study: Study) -> None:
    table = runs_table(study)
    assert len(table) == 14
    assert table["run_id"].nunique() == 14
    assert reproduce_command(study, "abc") == f"python tune_runner.py reproduce abc --tracking-uri {study.uri}"


def test_looks_are_counted_by_the_summary_or_by_the_folder_or_not_known(study: Study, tmp_path: Path) -> None:
    values = made_summary(study)
    assert final_of(values).looks is None
    assert "not in this study's summary" in looks_text(final_of(values))

    values["final"] |= {"looks": 8, "choices": 1}
    assert "looked at 8 times; 8 runs of this choice" in looks_text(final_of(values))
    assert looks_text(final_of(values)).endswith("for 1 choice of a winner.")
    values["final"]["choices"] = 2
    assert "2 choices of a winner: the later ones" in looks_text(final_of(values))

    local = made_summary(study)
    for place in range(2):
        folder = tmp_path / "final" / f"report-abc-{place}"
        folder.mkdir(parents=True)
        (folder / "looks.jsonl").write_text("{}\n{}\n")
        local["final"]["winner"]["folders"][place] = str(folder)  # type: ignore[index]
    found = final_of(local)
    assert (found.looks, found.choices) == (4, 0)


def test_a_study_that_has_not_ended_says_what_is_missing(uri: str) -> None:
    with pytest.raises(UserError, match=r"no readable summary\.json"):
        read_final(read_study(uri, "young"))


def test_the_picture_has_every_seed_and_an_interval_only_where_one_is_right(final: Final) -> None:
    axes = draw_seeds(final, ["inception_score", "kernel_distance", "frechet_distance"]).axes
    assert len(axes) == 4  # the runs have no kernel distance
    values, differences, distance, distances = axes
    assert [len(group.get_offsets()) for group in values.collections] == [3, 4]
    joined = [line for line in values.lines if np.isfinite(line.get_ydata()).all()]
    assert len(joined) == 3  # the seed that failed on one side has no line
    assert sorted(differences.collections[0].get_offsets()[:, 0]) == [1.0, 2.0, 3.0]
    assert "3 seeds; diamond: mean and 95% t interval\n+2.0 [-0.5, 4.5]" in differences.get_title(loc="left")
    assert list(differences.lines[1].get_xdata()) == pytest.approx([-0.484, 4.484], abs=1e-3)
    assert "interval" not in distances.get_title(loc="left")
    assert len(distances.lines) == 1  # the zero
    assert values.get_ylabel() == "IS\n(higher is better)"
    assert distance.get_ylabel() == "frechet_distance\n(lower is better)"
    assert [tick.get_text() for tick in differences.get_yticklabels()] == ["seed 11", "seed 12", "seed 13"]


def test_a_winner_that_is_the_published_row_has_no_difference(final: Final) -> None:
    result = replace(final.result, winner=final.result.published, same=True, differences={})
    same = replace(final, result=result)
    assert list(report_table(same).columns) == ["better", "best", "real clips"]
    assert len(seeds_table(same)) == 4
    left, right = draw_seeds(same, ["inception_score"]).axes
    assert len(left.collections[0].get_offsets()) == 3
    assert right.texts[0].get_text() == "the best config is the published row"


def test_no_completed_run_is_said(final: Final) -> None:
    none = replace(final, result=replace(final.result, winner=replace(final.result.winner, scores={})))
    assert "no run of the final stage completed" in draw_seeds(none, ["inception_score"]).axes[0].texts[0].get_text()
