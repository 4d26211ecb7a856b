"""`make`: what lies in a study's folder, from checkpoints and from videos, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from analysis.user_study.__main__ import main
from analysis.user_study.making import Options, alike, make
from analysis.user_study.sources import FIRST_SEED, SEEDS_PER_STUDY, open_source
from analysis.user_study.study import StudyFolder, read_study
from sweeps.state.paths import StudyPaths
from tests.analysis.user_studies import BRIGHT, draw_videos, small_study
from tests.sweeps.rival_studies import rival_study
from tsvan import checkpoint
from tsvan.checkpoint import Checkpoint
from tsvan.config import TrainConfig
from tsvan.models.networks import Networks
from tsvan.scoring.groups import GROUPS, SEEDS_PER_GROUP
from tsvan.validation import UserError
from tsvan.video import write_gif, write_mp4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    return small_study(tmp_path_factory.mktemp("made"))


def still(*_: int) -> None:
    """No progress shown."""


def first_frame(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def test_the_truth_is_what_the_clips_show(made: StudyFolder) -> None:
    study = read_study(made)
    assert len(study.showings) == 8
    for showing in study.showings:
        left, right = (first_frame(made.clip(name))[-1].mean() for name in (showing.left, showing.right))
        assert (left > right) == (showing.left_side == "a")
        assert abs(max(left, right) - BRIGHT) < 5


def test_the_page_holds_all_that_it_needs_and_not_whose_clips_they_are(made: StudyFolder) -> None:
    study = read_study(made)
    html = made.index.read_text()
    assert {path.stem for path in (made.page / "clips").iterdir()} == study.clips
    assert sorted(path.name for path in made.page.iterdir()) == ["clips", "index.html"]
    assert all(name in html for name in study.clips)
    assert not any(word in html for word in ("left_side", "theirs", "bright", "{{", "http:", "https:"))


def test_the_same_seed_makes_the_same_study_and_another_one_another(made: StudyFolder, tmp_path: Path) -> None:
    study = read_study(made)
    sides = Path(study.a.source), Path(study.b.source)
    options = Options(*sides, "ours", "theirs", tmp_path / "again", num_showings=8, per_rater=2, clips=3)
    assert make(options) == study
    assert make(replace(options, out=tmp_path / "other", seed=1)).id != study.id


def test_the_word_of_a_class_cannot_end_the_script(tmp_path: Path) -> None:
    made = small_study(tmp_path, labels=("<script>x<", "jack"), pairs=4)
    html = made.index.read_text()
    assert "<script>x" not in html
    assert "jumping jack" in html


def test_clips_of_other_lengths_and_sizes_become_alike(tmp_path: Path) -> None:
    for number, (frames, side) in enumerate([(6, 64), (9, 32)]):
        write_mp4(tmp_path / "a" / f"run_{number}.mp4", np.full((frames, side, side, 3), 99, np.uint8))
    write_gif(tmp_path / "b" / "run" / "x.gif", np.stack([np.full((48, 48, 3), 9 * t, np.uint8) for t in range(7)]))
    a, b = (open_source(tmp_path / name).take(("run",), 5, 0, still) for name in "ab")
    a, b = alike(a, b)
    assert {clip.shape for clip in (*a["run"], *b["run"])} == {(6, 32, 32, 3)}
    assert abs(int(b["run"][0][5].mean()) - 45) < 3


def test_more_videos_than_asked_for_are_drawn_at_random(tmp_path: Path) -> None:
    source = open_source(draw_videos(tmp_path, 100, ("run",), each=6))
    taken = [source.take(("run",), 3, seed, still)["run"] for seed in range(4)]
    assert all(len(clips) == 3 for clips in taken)
    assert len({np.stack(clips).tobytes() for clips in taken}) > 1


@pytest.fixture
def runs(tiny_config: TrainConfig, tiny_networks: Networks, tmp_path: Path) -> list[Path]:
    """Folders of two runs of three classes, with other weights."""
    folders = []
    for number in range(2):
        with torch.no_grad():
            for weight in tiny_networks.parameters():
                weight *= 1 + 0.5 * number
        state = tiny_networks.state_dict()
        checkpoint.save(
            Checkpoint(tiny_config, 1, ("bend", "jack", "run"), "hash", "/x", state, {}),
            tmp_path / f"run{number}" / "checkpoints",
        )
        folders.append(tmp_path / f"run{number}")
    return folders


def test_checkpoints_generate_from_the_same_latents_and_labels(runs: list[Path]) -> None:
    labels = ("bend", "run")
    one, again, other = (open_source(run, "cpu").take(labels, 2, 0, still) for run in (runs[0], runs[0], runs[1]))
    assert all(len(one[label]) == 2 and one[label][0].shape == (10, 64, 64, 3) for label in labels)
    assert all(np.array_equal(x, y) for label in labels for x, y in zip(one[label], again[label], strict=True))
    assert not np.array_equal(one["bend"][0], other["bend"][0])
    assert not np.array_equal(one["bend"][0], open_source(runs[0], "cpu").take(labels, 2, 1, still)["bend"][0])


def test_the_study_s_seeds_are_no_sample_group_s() -> None:
    assert len(GROUPS) * SEEDS_PER_GROUP < FIRST_SEED
    assert FIRST_SEED + (2**30 - 1) * SEEDS_PER_STUDY + SEEDS_PER_STUDY <= 2**63


def test_the_command_compares_a_run_with_videos(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = draw_videos(tmp_path / "videos", 90, ("run", "wave"))
    command = ["make", "--a", str(runs[0]), "--b", str(videos), "--out", str(tmp_path / "study"), "--pairs", "4"]
    assert main([*command, "--clips", "2", "--device", "cpu"]) == 0
    said = capsys.readouterr().err
    assert "left out, as only one side has them: bend, jack, wave" in said
    assert "4 showings" in said
    assert read_study(StudyFolder(tmp_path / "study")).labels == ("run",)
    assert json.loads((tmp_path / "study" / "pairs.json").read_text())["a"]["source"] == str(runs[0])
    assert main([*command, "--clips", "2"]) == 2
    assert "is taken" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--pairs", "7"], "--pairs must be even"),
        (["--pairs", "100"], "3 and 3 clips make 9 different pairs, 50 are needed; give more clips (--clips)"),
        (["--seed", "-1"], "--seed must be from 0"),
        (["--clips", "0"], "--clips must be 1 or more, got 0"),
        (["--per-rater", "0"], "--per-rater must be 1 or more, got 0"),
        (["--name-b", "A"], "both sides are named 'A'"),
        (["--a", "/nowhere"], "nothing at /nowhere"),
        (["--pairs", "x"], "argument --pairs: invalid int value"),
    ],
)
def test_wrong_use_is_one_line(
    extra: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = str(draw_videos(tmp_path / "videos", 90, ("run",)))
    assert main(["make", "--a", videos, "--b", videos, "--out", str(tmp_path / "study"), *extra]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
    assert said[-1].startswith("error: ")
    assert not (tmp_path / "study").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["videos"]


def test_videos_that_cannot_be_shown_are_named(tmp_path: Path) -> None:
    write_mp4(tmp_path / "wide" / "run_1.mp4", np.zeros((4, 32, 64, 3), np.uint8))
    with pytest.raises(UserError, match=r"run_1\.mp4 cannot be shown: it is 64 x 32 pixels"):
        open_source(tmp_path / "wide").take(("run",), 1, 0, still)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run_1.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match=r"run_1\.mp4 cannot be shown: not a video"):
        open_source(tmp_path / "bad").take(("run",), 1, 0, still)
    (tmp_path / "bad" / "one.mp4").write_bytes(b"")
    with pytest.raises(UserError, match=r"one\.mp4: the name doesn't say the class"):
        open_source(tmp_path / "bad")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="neither a folder checkpoints/ nor videos"):
        open_source(tmp_path / "empty")


def test_two_studies_give_their_winners_and_both_sides_have_as_many_frames(tmp_path: Path) -> None:
    for side in ("left", "right"):
        rival_study(tmp_path / side)
    command = ["make", "--left", str(tmp_path / "left"), "--right", str(tmp_path / "right"), "--out"]
    out = tmp_path / "study"
    assert main([*command, str(out), "--pairs", "4", "--per-rater", "2", "--clips", "2", "--device", "cpu"]) == 0
    study = read_study(StudyFolder(out))
    assert len(study.showings) == 4
    with av.open(str(StudyFolder(out).clip(study.showings[0].left))) as film:
        assert sum(1 for _ in film.decode(video=0)) == 16


def test_a_study_without_a_final_run_is_refused(tmp_path: Path) -> None:
    StudyPaths(rival_study(tmp_path / "study")).final_result.unlink()
    with pytest.raises(UserError, match="has no final run yet; finish it first, or give the folder of a run"):
        open_source(tmp_path / "study")
