from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.scoring.stores import TINY, write_store
from tsvan.data.datasets import MIN_FRAMES, span
from tsvan.data.store import ClipStore
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.evaluator import Evaluator
from tsvan.scoring.evidence import Gap
from tsvan.scoring.formulas import kernel_distance
from tsvan.scoring.measured import Measured
from tsvan.scoring.metrics import METRICS, Metric
from tsvan.scoring.reference import MIN_VIDEOS, WINDOWS_PER_VIDEO, evidence_windows
from tsvan.scoring.sensitivity import KINDS, Sensitivity, spoilers
from tsvan.scoring.training import train_or_load
from tsvan.validation import UserError

LABELS = np.arange(8, dtype=np.int64) % 2


@pytest.fixture(scope="module")
def evaluator(weizmann: ClipStore, weizmann_scorer: Scorer) -> Evaluator:
    return Evaluator(weizmann_scorer, weizmann)


def random_clips(num_batches: int = 2, size: int = 4) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(num_batches):
        yield torch.rand(size, 3, 10, 64, 64, generator=generator) * 2 - 1


def test_scores_are_plain_values_and_name_their_scorer(evaluator: Evaluator, weizmann_scorer: Scorer) -> None:
    scores = evaluator.score(random_clips(), LABELS, group="validation")
    assert set(scores.values) == set(METRICS) - {"fvd_i3d"}
    assert scores.finite
    assert (scores.num_clips, scores.group, scores.scorer_hash) == (8, "validation", weizmann_scorer.hash)
    assert json.loads(json.dumps(scores.to_dict()))["values"] == scores.values
    assert scores.intervals == {}
    assert not scores.frechet_comparable


def test_scores_do_not_depend_on_how_clips_are_batched(evaluator: Evaluator) -> None:
    together = torch.cat(list(random_clips()))
    one = evaluator.score(iter([together]), LABELS, group="report")
    two = evaluator.score(iter(together.split(3)), LABELS, group="report")
    assert one.values == pytest.approx(two.values, rel=1e-5)


def test_intervals_come_when_asked_for(evaluator: Evaluator) -> None:
    scores = evaluator.score(random_clips(), LABELS, group="report", intervals=True)
    assert set(scores.intervals) == {"inception_score", "kernel_distance"}
    for name, (low, high) in scores.intervals.items():
        assert low <= high, name


def test_a_clip_that_is_not_finite_makes_every_score_nan(evaluator: Evaluator) -> None:
    clips = torch.zeros(8, 3, 10, 64, 64)
    clips[3, 0, 0, 0, 0] = float("nan")
    scores = evaluator.score([clips], LABELS, group="validation", intervals=True)
    assert not scores.finite
    assert all(np.isnan(value) for value in scores.values.values())


def test_clips_and_labels_must_match(evaluator: Evaluator) -> None:
    with pytest.raises(ValueError, match="got 8 and 7"):
        evaluator.score(random_clips(), LABELS[:7], group="validation")
    with pytest.raises(ValueError, match="no clips"):
        evaluator.score([], LABELS, group="validation")


def test_reference_and_real_row_are_disjoint_halves_with_the_same_classes(evaluator: Evaluator) -> None:
    windows = evaluator._windows
    reference, real = windows[::2], windows[1::2]
    assert len(reference) == len(real) == 4
    assert not set(reference) & set(real)
    for half in (reference, real):
        assert sorted(window.clip.label for window in half) == [0, 0, 1, 1]


def test_real_against_real_uses_as_many_clips_as_there_are(evaluator: Evaluator) -> None:
    assert evaluator.real_distances(3).num_clips == 3
    most = evaluator.real_distances(1_000)
    assert most.num_clips == 4
    expected = kernel_distance(evaluator._real.features[1::2], evaluator.reference.features)
    assert most.values["kernel_distance"] == pytest.approx(expected)


def test_single_class_has_no_label_agreement(vox: ClipStore, tmp_path: Path) -> None:
    scorer = train_or_load(vox, replace(TINY, iterations=1), tmp_path)
    evaluator = Evaluator(scorer, vox)
    scores = evaluator.score(random_clips(), np.zeros(8, dtype=np.int64), group="validation")
    assert "label_agreement" not in scores.values
    assert evaluator.measure(random_clips(), LABELS).probabilities.shape == (8, 2)  # speakers, not playback steps
    reason = evaluator.sensitivity().refuses("label_agreement")
    assert reason == "label_agreement is not measured: there is a single class"


def test_reference_is_measured_once_and_cached(
    weizmann: ClipStore, weizmann_scorer: Scorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Evaluator(weizmann_scorer, weizmann, cache_dir=tmp_path)
    table, features = first.sensitivity(), first.reference.features
    growth = first.growth([32, 200])
    assert len(list(tmp_path.iterdir())) == 3
    second = Evaluator(weizmann_scorer, weizmann, cache_dir=tmp_path)
    monkeypatch.setattr(second, "measure", lambda *_: pytest.fail("measured again"))
    assert np.array_equal(second.reference.features, features)
    assert second.sensitivity() == table
    assert second.growth([32, 200]) == growth


def test_damaged_cache_is_named(weizmann: ClipStore, weizmann_scorer: Scorer, tmp_path: Path) -> None:
    evaluator = Evaluator(weizmann_scorer, weizmann, cache_dir=tmp_path)
    evaluator.sensitivity()
    evaluator.growth([20])
    for file in tmp_path.iterdir():
        file.write_text("{")
    again = Evaluator(weizmann_scorer, weizmann, cache_dir=tmp_path)
    with pytest.raises(UserError, match="is damaged"):
        again.sensitivity()
    with pytest.raises(UserError, match="is damaged"):
        again.growth([20])
    with pytest.raises(UserError, match="is damaged"):
        _ = again.reference


def test_scorer_of_another_store_is_refused(weizmann_scorer: Scorer, vox: ClipStore) -> None:
    with pytest.raises(UserError, match="trained on another clip store"):
        Evaluator(weizmann_scorer, vox)


def test_sensitivity_has_a_row_for_each_kind(evaluator: Evaluator) -> None:
    table = evaluator.sensitivity()
    assert tuple(table.rows) == KINDS
    assert (table.num_clips, table.num_distance_clips) == (8, 4)
    assert table.rows["noise"]["kernel_distance"] > table.rows["real"]["kernel_distance"]
    assert set(table.gaps) == set(table.rows["real"])
    assert all(set(found) == {"static", "shuffled"} for found in table.gaps.values())
    assert (table.num_blocks, table.unit) == (8, "stretch")  # of four videos
    assert table.missing == {"fvd_i3d": "there is no I3D file"}
    assert Sensitivity.from_dict(json.loads(json.dumps(table.to_dict()))) == table


def table(static: Gap | None, shuffled: Gap | None) -> Sensitivity:
    found = {kind: gap for kind, gap in (("static", static), ("shuffled", shuffled)) if gap is not None}
    rows = {kind: {"kernel_distance": 0.0} for kind in KINDS}
    return Sensitivity(
        rows,
        20,
        10,
        "hash",
        {"kernel_distance": found} if found else {},
        5,
        "video",
        {"fvd_i3d": "there is no I3D file"},
    )


def test_a_metric_passes_with_three_standard_errors_of_both_kinds() -> None:
    assert table(Gap(3.0, 1.0), Gap(0.7, 0.2)).refuses("kernel_distance") is None
    assert table(Gap(2.99, 1.0), Gap(9.0, 1.0)).refuses("kernel_distance") == (
        "kernel_distance does not tell broken clips from real ones: broken clips are worse by 3.0 (static) and 9.0 "
        "(shuffled) standard errors, 3 are needed"
    )
    assert table(Gap(9.0, 1.0), Gap(-9.0, 1.0)).refuses("kernel_distance") is not None
    assert table(Gap(0.0, 0.0), Gap(9.0, 1.0)).refuses("kernel_distance") is not None
    assert table(Gap(float("nan"), 1.0), Gap(9.0, 1.0)).refuses("kernel_distance") is not None


def test_a_metric_without_standard_errors_or_value_does_not_pass() -> None:
    assert table(None, None).refuses("kernel_distance") == (
        "kernel_distance cannot be tested: 5 held-out videos, 6 are needed"
    )
    assert table(Gap(9, 1), Gap(9, 1)).refuses("fvd_i3d") == "fvd_i3d is not measured: there is no I3D file"


def test_evidence_counts_every_video_alike(tmp_path: Path) -> None:
    lengths = [60, 63, 60, 120, 180, 60, 60, 60]
    actions = ("bend", "jack", "walk", "wave1")
    files = {f"{'ab'[i // 4]}_{actions[i % 4]}.avi": length for i, length in enumerate(lengths)}
    assert len(files) == MIN_VIDEOS
    store = write_store("weizmann", tmp_path / "store", files)
    found = evidence_windows(store)
    assert found.unit == "video"
    assert found.blocks.tolist() == np.repeat(np.arange(8), WINDOWS_PER_VIDEO).tolist()
    for block in range(8):
        windows = [window for window, own in zip(found.windows, found.blocks, strict=True) if own == block]
        assert len({window.clip.source for window in windows}) == 1
        last = windows[0].clip.start + windows[0].clip.num_frames - span(MIN_FRAMES, windows[0].clip.frame_step)
        assert (windows[0].first, windows[-1].first) == (windows[0].clip.start, last)
    for side in (0, 1):
        labels = {w.clip.label for w, own in zip(found.windows, found.blocks, strict=True) if own % 2 == side}
        assert labels == {0, 1, 2, 3}


def test_a_metric_that_asks_for_the_clips_gets_them_and_real_ones(weizmann: ClipStore, weizmann_scorer: Scorer) -> None:
    def brightness(generated: Measured, real: Measured) -> float:
        assert generated.clips is not None
        assert real.clips is not None
        assert generated.clips.shape[1:] == real.clips.shape[1:] == (3, 10, 64, 64)
        return abs(float(generated.clips.mean()) - float(real.clips.mean()))

    own = {"brightness": Metric("difference of mean brightness", "minimize", brightness, needs="clips")}
    evaluator = Evaluator(weizmann_scorer, weizmann, metrics={**METRICS, **own})
    white = evaluator.score([torch.ones(4, 3, 10, 64, 64)], LABELS[:4], group="validation").values["brightness"]
    black = evaluator.score([-torch.ones(4, 3, 10, 64, 64)], LABELS[:4], group="validation").values["brightness"]
    assert white + black == pytest.approx(255)
    assert "brightness" in evaluator.sensitivity().gaps


def test_spoilt_clips() -> None:
    clips = torch.arange(10.0).reshape(1, 1, 10, 1, 1).expand(20, 3, 10, 2, 2)
    kinds = spoilers()
    assert torch.equal(kinds["real"](clips, 0), clips)
    assert (kinds["static"](clips, 0) == 0).all()
    shuffled = kinds["shuffled"](clips, 0)
    assert torch.equal(shuffled.sort(dim=2).values, clips)
    assert all(not torch.equal(one, clip) for one, clip in zip(shuffled, clips, strict=True))
    assert not torch.equal(shuffled[0], shuffled[1])
    assert torch.equal(kinds["shuffled"](clips[5:], 5), shuffled[5:])  # depends on the clip, not on the batch
    noise = kinds["noise"](clips, 0)
    assert noise.shape == clips.shape
    assert -1 <= noise.min() < -0.9 < 0.9 < noise.max() <= 1


class _MeanColour(nn.Module):
    """Stands in for I3D: (B, 3, T, 224, 224) -> the mean colour (B, 3)."""

    def forward(self, clips: Tensor) -> Tensor:
        assert clips.shape[1] == 3
        assert clips.shape[3] == 224
        assert clips.shape[4] == 224
        return clips.mean(dim=[2, 3, 4])


class _Wrong(nn.Module):
    def forward(self, clips: Tensor) -> Tensor:
        return clips.mean()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_i3d_file_adds_its_distance(weizmann: ClipStore, weizmann_scorer: Scorer, tmp_path: Path) -> None:
    file = tmp_path / "i3d.pt"
    torch.jit.save(torch.jit.script(_MeanColour()), str(file))
    evaluator = Evaluator(weizmann_scorer, weizmann, i3d=file)
    features = evaluator.measure([torch.full((2, 3, 10, 64, 64), 0.25)], LABELS[:2]).i3d
    assert features is not None
    assert features == pytest.approx(np.full((2, 3), 0.25))
    scores = evaluator.score(random_clips(1, 2), LABELS[:2], group="validation")
    assert scores.values["fvd_i3d"] > 0
    assert "fvd_i3d" in scores.real.values


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wrong_i3d_files_are_named(weizmann: ClipStore, weizmann_scorer: Scorer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read the I3D file"):
        Evaluator(weizmann_scorer, weizmann, i3d=tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(UserError, match="is not TorchScript"):
        Evaluator(weizmann_scorer, weizmann, i3d=tmp_path / "text.pt")
    torch.jit.save(torch.jit.script(_Wrong()), str(tmp_path / "wrong.pt"))
    evaluator = Evaluator(weizmann_scorer, weizmann, i3d=tmp_path / "wrong.pt")
    with pytest.raises(UserError, match=r"must return \(B, D\) features"):
        evaluator.score(random_clips(), LABELS, group="validation")
