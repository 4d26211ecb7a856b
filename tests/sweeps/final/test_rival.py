"""Another study beside one's own: what is fair, what the difference proves, and what the report shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.config.schema import Objective
from sweeps.final.rival import against, check_fair, read_rival, rival_verdict
from sweeps.final.statistics import Interval, two_sample
from sweeps.report.rival import rival_lines, rival_summary
from sweeps.report.samples import draw_pictures
from sweeps.report.tables import metrics_table
from sweeps.state.paths import StudyPaths
from tests.sweeps.report.final_results import final
from tests.sweeps.report.scorer_results import SCORER
from tests.sweeps.rival_studies import rival_study
from tsvan.validation import UserError

CONFIG = load("weizmann", "smoke", ["objective=inception_score"])[0]
HIGHER, LOWER = Objective("inception_score"), Objective("kernel_distance", "minimize")


def test_the_interval_of_two_samples_is_welchs() -> None:
    # Means 2 and 5, variances 1, so that the standard error is √(2/3) and the degrees of freedom are 4: t = 2.77645.
    found = two_sample([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert (found.mean, found.low, found.high) == pytest.approx((-3.0, -5.26696, -0.73304), abs=1e-5)
    assert two_sample([1.0], [4.0, 5.0]).low is None
    assert two_sample([1.0, 1.0], [1.0, 1.0]).low is None  # equal seeds show no noise


@pytest.mark.parametrize(
    ("objective", "difference", "said"),
    [
        (HIGHER, Interval(1.0, 0.5, 1.5, []), "better than MoCoGAN: +1 [0.5, 1.5]"),
        (HIGHER, Interval(-1.0, -1.5, -0.5, []), "worse than MoCoGAN: -1 [-1.5, -0.5]"),
        (LOWER, Interval(-1.0, -1.5, -0.5, []), "better than MoCoGAN: -1 [-1.5, -0.5]"),
        (HIGHER, Interval(0.2, -0.5, 0.9, []), "no evidence of a difference to MoCoGAN: +0.2 [-0.5, 0.9]"),
        (HIGHER, Interval(0.2, None, None, []), "no evidence against MoCoGAN: +0.2 from too few seeds for an interval"),
        (HIGHER, None, "no verdict against MoCoGAN: not both have a final score"),
    ],
)
def test_the_verdict_needs_the_whole_interval_on_one_side(
    objective: Objective, difference: Interval | None, said: str
) -> None:
    assert rival_verdict(objective, difference, "MoCoGAN") == said


REAL = {"scorer": SCORER, "data_source": "real"}


def test_both_stand_in_the_report(tmp_path: Path) -> None:
    rival = read_rival(rival_study(tmp_path / "rival"), CONFIG)
    assert (rival.title, rival.num_clips) == ("MoCoGAN", 9_000)
    result = final()
    found = against(result.winner, rival.winner)["inception_score"]
    assert found.mean == 4.0 - 2.0
    lines = rival_lines(result, rival, CONFIG)
    assert lines[0] == f"**{rival_verdict(CONFIG.objective, found, 'MoCoGAN')}**"
    assert any(line.startswith("| metric | TwoStreamVAN | MoCoGAN | TwoStreamVAN - MoCoGAN |") for line in lines)
    assert "ngf2 z4 h3 lr=0.0002 σ=0.1" in lines[2]
    (row,) = [line for line in metrics_table(result, REAL, rival) if "**MoCoGAN**" in line]
    assert row.startswith("| **MoCoGAN** (trial 3) | 9,000 | 2.0 [")
    summary = rival_summary(result, rival, CONFIG)["rival"]
    assert summary["verdict"] == lines[0].strip("*")
    assert rival_summary(result, None, CONFIG) == {}
    assert rival_lines(None, rival, CONFIG)[-1] == "This study has no final result to set beside it."


def test_both_are_shown_from_the_same_seeds_and_labels(tmp_path: Path) -> None:
    ours = StudyPaths(rival_study(tmp_path / "ours"))
    rival = read_rival(rival_study(tmp_path / "rival"), load("weizmann", "smoke", model="mocogan")[0])
    result = final()
    trial = {"number": 0, "state": "complete", "score": 1.0}
    ours.trial(0).checkpoints.mkdir(parents=True)
    source = next((tmp_path / "rival" / "final" / "report-best-0" / "checkpoints").iterdir())
    (ours.trial(0).checkpoints / source.name).write_bytes(source.read_bytes())
    found = [picture.file.name for picture in draw_pictures(CONFIG, None, [trial], None, ours, rival)]
    assert {"rival_videos.mp4", "rival_videos.png", "rival_frames.png", "same_latents.png"} <= set(found)
    assert "masks.png" not in found  # it has none
    assert result.winner.role != "rival"


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("mug", "is a study of 'mug', not of 'weizmann'; give one of that dataset"),
        (None, "no study there; give the folder of a study, as runs/mug-mocogan"),
    ],
)
def test_another_dataset_or_no_study_is_refused(dataset: str | None, said: str, tmp_path: Path) -> None:
    folder = tmp_path / "rival"
    if dataset is not None:
        rival_study(folder, dataset)
    with pytest.raises(UserError) as error:
        read_rival(folder, CONFIG)
    assert str(error.value) == f"--rival {folder}{':' if dataset is None else ''} {said}"


def test_an_unfinished_study_is_refused_with_the_command_that_finishes_it(tmp_path: Path) -> None:
    folder = rival_study(tmp_path / "rival")
    StudyPaths(folder).final_result.unlink()
    command = f"python tune_runner.py --model mocogan --dataset weizmann --preset smoke --out {folder} --resume"
    with pytest.raises(UserError, match="has no final numbers yet; finish it first") as error:
        read_rival(folder, CONFIG)
    assert str(error.value).endswith(command)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (("x" * 64, "s" * 64, 9_000), "another clip store"),
        (("h" * 64, "x" * 64, 9_000), "another scorer"),
        (("h" * 64, "s" * 64, 16), "another N (9,000, here 16); set scoring.report_clips=9000 here"),
    ],
)
def test_other_clips_scorer_or_n_are_refused(facts: tuple[str, str, int], said: str, tmp_path: Path) -> None:
    rival = read_rival(rival_study(tmp_path / "rival"), CONFIG)
    check_fair(rival, "h" * 64, "s" * 64, 9_000)
    with pytest.raises(UserError) as error:
        check_fair(rival, *facts)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
