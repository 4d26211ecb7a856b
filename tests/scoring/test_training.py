from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.scoring.stores import TINY, write_store
from tsvan.data.batches import FrameReader
from tsvan.data.datasets import DATASETS, MIN_FRAMES, span
from tsvan.data.store import ClipStore
from tsvan.scoring.classifier import Classifier, Scorer, check_floor
from tsvan.scoring.config import ScorerConfig, identity, published
from tsvan.scoring.labels import UNASKED, Head, Scheme, scheme
from tsvan.scoring.training import scorer_path, train, train_or_load, trained_configs
from tsvan.scoring.windows import Window, held_out_windows, iterations_per_epoch, load, training_windows
from tsvan.validation import UserError, build

SHORT = replace(TINY, iterations=6, eval_every=2)


def test_published_settings_are_those_of_the_specification() -> None:
    found = {name: published(name) for name in DATASETS}
    assert [found[name].batch_size for name in DATASETS] == [32, 32, 64, 32]
    assert [found[name].lr for name in DATASETS] == [1e-4, 5e-4, 5e-4, 5e-4]
    assert [found[name].lr_decay for name in DATASETS] == [0.999, 0.995, 0.995, 0.995]
    assert [found[name].backward_share for name in DATASETS] == [0.5, 0, 0, 0]
    for config in found.values():
        assert (config.beta1, config.beta2, config.weight_decay) == (0.5, 0.999, 1e-5)
        assert config.iterations == 100_000
        assert config.widths == (64, 128, 256, 512)


def test_config_is_read_strictly() -> None:
    assert build(ScorerConfig, {"widths": [8, 8, 8, 8]}, "x.yaml").widths == (8, 8, 8, 8)
    with pytest.raises(UserError, match=r"x.yaml: unknown key 'width'; did you mean 'widths'"):
        build(ScorerConfig, {"width": [8, 8, 8, 8]}, "x.yaml")
    with pytest.raises(UserError, match="playback_steps must start with 1"):
        build(ScorerConfig, {"playback_steps": [2, 4]}, "x.yaml")


def test_labels_are_action_plus_classes_times_person(weizmann: ClipStore) -> None:
    found = scheme(weizmann, TINY)
    assert found.heads == (Head("person x action", 4),)
    assert found.playback == (1,)
    assert [found.labels(clip, 1) for clip in weizmann.split("train")] == [(0,), (1,), (2,), (3,)]


def test_vox_asks_for_the_speaker_and_the_steps_that_its_clips_allow(vox: ClipStore) -> None:
    # 40 held-out frames at step 1: windows span 10, 19, 37 and 73 frames.
    found = scheme(vox, TINY)
    assert found.heads == (Head("speaker", 2), Head("playback step", 3))
    assert found.playback == (1, 2, 4)
    assert found.labels(vox.split("train")[1], 4) == (1, 2)
    assert scheme(vox, replace(TINY, playback_steps=(1,))).heads == (Head("speaker", 2),)


def test_mug_asks_for_the_expression(tmp_path: Path) -> None:
    files = {f"s_anger_take{i:03}.mp4": 80 for i in range(5)} | {f"s_fear_take{i:03}.mp4": 80 for i in range(5)}
    assert scheme(write_store("mug", tmp_path / "s", files), TINY).heads == (Head("class", 2),)


def test_a_second_head_asks_at_which_step_in_frames_a_window_is_played(weizmann: ClipStore) -> None:
    # 20 held-out frames, 60 of the longer clips: windows at steps 1, 2, 4 and 8 span 10, 19, 37 and 73 frames.
    config = replace(TINY, heads="timed")
    found = scheme(weizmann, config)
    assert found.heads == (Head("person x action", 4), Head("frame step", 3))
    assert found.frame_steps == (1, 2, 4)
    clips = weizmann.split("train")
    assert [found.labels(clips[1], step) for step in (1, 2, 4)] == [(UNASKED, 0), (1, 1), (UNASKED, 2)]
    for iteration in range(20):
        windows = training_windows(clips, weizmann.side, found, config, iteration)
        size = config.batch_size  # the published batch, and as many windows at other steps, of which no class is asked
        assert windows[:size] == training_windows(clips, weizmann.side, scheme(weizmann, TINY), TINY, iteration)
        assert [window.clip for window in windows[size:]] == [window.clip for window in windows[:size]]
        assert all(window.step != 2 for window in windows[size:])
    held_out = held_out_windows(weizmann, found)
    assert {window.step for window in held_out} == {1, 2, 4}
    assert [window for window in held_out if window.step == 2] == held_out_windows(weizmann)


def test_both_heads_are_learned_and_measured_by_the_windows_that_they_are_asked_of(weizmann: ClipStore) -> None:
    config = replace(TINY, heads="timed", iterations=60)
    scorer = train(weizmann, config, scheme(weizmann, config))
    assert set(scorer.last_accuracies) == {"person x action", "frame step"}
    assert min(scorer.accuracies.values()) >= 0.7


def test_a_dataset_with_a_head_for_time_gets_no_other(vox: ClipStore) -> None:
    assert [head.name for head in scheme(vox, published("vox")).heads] == ["speaker", "playback step"]
    assert published("vox") == published("vox", "published")
    assert {name: published(name).heads for name in ("weizmann", "mug", "synaction")} == dict.fromkeys(
        ("weizmann", "mug", "synaction"), "timed"
    )


def test_a_scorer_of_the_published_heads_has_the_hash_that_it_always_had(weizmann: ClipStore) -> None:
    # So that a study that began before the second head goes on with its scorer.
    config = replace(TINY, heads="published")
    before = {name: value for name, value in asdict(config).items() if name != "heads"}
    assert identity(config) == before
    assert identity(replace(config, heads="timed")) == {**before, "heads": "timed"}
    assert scorer_path(weizmann, config, Path()) != scorer_path(weizmann, replace(config, heads="timed"), Path())


def test_training_windows_stay_inside_their_clips_and_cover_the_split(vox: ClipStore) -> None:
    found, clips = scheme(vox, TINY), vox.split("train")
    config = replace(TINY, batch_size=2)
    seen = set()
    for iteration in range(40):
        windows = training_windows(clips, vox.side, found, config, iteration)
        assert {window.clip.person for window in windows} == {0, 1}  # an epoch is without replacement
        for window in windows:
            last = window.first + span(MIN_FRAMES, window.step)
            assert window.clip.start <= window.first
            assert last <= window.clip.start + window.clip.num_frames
            assert 0 <= window.top <= vox.side - 64
            assert 0 <= window.left <= vox.side - 64
            seen.add(window.step // window.clip.frame_step)
    assert seen == {1, 2, 4}
    assert training_windows(clips, vox.side, found, config, 7) == training_windows(clips, vox.side, found, config, 7)


def test_a_share_of_the_windows_plays_backwards(weizmann: ClipStore) -> None:
    found, clips = scheme(weizmann, TINY), weizmann.split("train")
    shares = {
        share: np.mean(
            [window.backwards for i in range(40) for window in _batch(weizmann, replace(TINY, backward_share=share), i)]
        )
        for share in (0.0, 0.25, 1.0)
    }
    assert shares[0.0] == 0
    assert shares[0.25] == pytest.approx(0.25, abs=0.1)
    assert shares[1.0] == 1
    assert not any(window.backwards for window in held_out_windows(weizmann))
    forwards = training_windows(clips, weizmann.side, found, TINY, 0)
    reader = FrameReader(weizmann, "cpu")
    turned = load(reader, [replace(window, backwards=True) for window in forwards])
    assert torch.equal(turned, load(reader, forwards).flip(2))


def _batch(store: ClipStore, config: ScorerConfig, iteration: int) -> list[Window]:
    return training_windows(store.split("train"), store.side, scheme(store, config), config, iteration)


def test_half_precision_trains_too(weizmann: ClipStore) -> None:
    config = replace(TINY, precision="bf16")
    scorer = train(weizmann, config, scheme(weizmann, config))
    assert scorer.accuracy >= 0.75
    assert all(value.dtype == torch.float32 for value in scorer.network.parameters())


def test_other_questions_can_be_asked(weizmann: ClipStore) -> None:
    scorer = train(weizmann, TINY, Scheme((Head("class", 2),), 2))
    assert scorer.accuracies.keys() == {"class"}
    assert scorer.accuracies["class"] >= 0.9


def test_a_split_smaller_than_a_batch_fills_it_by_repeating(weizmann: ClipStore) -> None:
    clips = weizmann.split("train")
    assert iterations_per_epoch(len(clips), replace(TINY, batch_size=10)) == 1
    windows = training_windows(clips, weizmann.side, scheme(weizmann, TINY), replace(TINY, batch_size=10), 0)
    assert len(windows) == 10
    assert {window.clip for window in windows} == set(clips)


def test_held_out_windows_do_not_overlap_and_take_the_central_crop(weizmann: ClipStore) -> None:
    windows = held_out_windows(weizmann)
    assert [window.clip.person for window in windows] == [0, 0, 1, 1, 1, 1, 1, 1]  # 20 and 60 frames, 19 a window
    assert all(window.top == window.left == 2 for window in windows)  # (69 - 64) // 2
    rows = [row for w in windows for row in range(w.first, w.first + span(MIN_FRAMES, w.clip.frame_step))]
    assert len(rows) == len(set(rows))


@pytest.mark.parametrize("sizes", [(4,), (3, 2)])
def test_features_are_the_average_of_what_the_last_layer_sees(sizes: tuple[int, ...]) -> None:
    heads = tuple(Head(str(i), size) for i, size in enumerate(sizes))
    network = Classifier(Scheme(heads, 1), (4, 4, 8, 16)).eval()
    clips = torch.randn(2, 3, 10, 64, 64)
    features, logits = network(clips)
    assert torch.equal(features, network.body(clips).mean(dim=(2, 3, 4)))
    assert features.shape == (2, 16)
    assert [tuple(values.shape) for values in logits] == [(2, size) for size in sizes]


def test_training_learns_and_is_found_again(weizmann: ClipStore, weizmann_scorer: Scorer, weizmann_cache: Path) -> None:
    assert weizmann_scorer.accuracy >= 0.75
    assert check_floor(weizmann_scorer, None) is None
    assert weizmann_scorer.chances == {"person x action": 0.25}
    assert weizmann_scorer.iterations == 30
    again = train_or_load(weizmann, TINY, weizmann_cache, progress=lambda *_: pytest.fail("trained again"))
    assert again.hash == weizmann_scorer.hash
    assert again.accuracies == weizmann_scorer.accuracies
    clips = torch.randn(2, 3, 10, 64, 64)
    assert torch.equal(again.measure(clips)[0], weizmann_scorer.measure(clips)[0])
    assert list(weizmann_cache.glob("*.pt")) == [scorer_path(weizmann, TINY, weizmann_cache)]


def test_scorers_that_are_there_are_found_by_their_store(
    weizmann: ClipStore, vox: ClipStore, weizmann_scorer: Scorer, weizmann_cache: Path
) -> None:
    reference = scorer_path(weizmann, TINY, weizmann_cache).with_suffix(".reference.pt")
    reference.write_bytes(b"features of real clips, no scorer")
    assert trained_configs(weizmann, weizmann_cache)[0] == weizmann_scorer.config
    reference.unlink()
    assert trained_configs(vox, weizmann_cache) == []


def test_another_store_or_config_is_another_scorer(weizmann: ClipStore, vox: ClipStore, tmp_path: Path) -> None:
    paths = {
        scorer_path(weizmann, TINY, tmp_path),
        scorer_path(vox, TINY, tmp_path),
        scorer_path(weizmann, replace(TINY, seed=1), tmp_path),
    }
    assert len(paths) == 3


def test_an_interrupted_training_goes_on_to_the_same_scorer(vox: ClipStore, tmp_path: Path) -> None:
    whole = train_or_load(vox, SHORT, tmp_path / "whole")

    class KilledError(Exception):
        pass

    def die(done: int, total: int) -> None:
        if done == 5:
            raise KilledError

    with pytest.raises(KilledError):
        train_or_load(vox, SHORT, tmp_path / "broken", progress=die)
    seen: list[tuple[int, int]] = []
    scorer = train_or_load(vox, SHORT, tmp_path / "broken", progress=lambda *now: seen.append(now))
    assert seen == [(5, 6), (6, 6)]
    assert scorer.hash == whole.hash
    assert scorer.last_accuracies == whole.last_accuracies
    assert len(list((tmp_path / "broken").iterdir())) == 1


def test_global_random_state_is_left_alone(vox: ClipStore, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train_or_load(vox, replace(SHORT, iterations=1), tmp_path)
    assert torch.equal(before, torch.get_rng_state())


def test_training_ends_when_the_rate_no_longer_moves_anything(weizmann: ClipStore, tmp_path: Path) -> None:
    # One iteration an epoch: 0.1 ** 3 = 0.001.
    config = replace(SHORT, iterations=1_000, lr_decay=0.1, min_lr_share=1e-3)
    assert train_or_load(weizmann, config, tmp_path).iterations == 3


def test_a_damaged_file_is_named(weizmann: ClipStore, tmp_path: Path) -> None:
    path = scorer_path(weizmann, TINY, tmp_path)
    path.write_bytes(b"not a scorer")
    with pytest.raises(UserError, match=rf"{path.name} is damaged: .*; delete it and run again"):
        train_or_load(weizmann, TINY, tmp_path)


def test_changed_weights_are_noticed(weizmann: ClipStore, weizmann_scorer: Scorer, tmp_path: Path) -> None:
    from tsvan.scoring.classifier import to_state

    state = to_state(weizmann_scorer)
    name = next(iter(state["weights"]))
    state["weights"][name] = state["weights"][name] + 1
    torch.save(state, scorer_path(weizmann, TINY, tmp_path))
    with pytest.raises(UserError, match="weights do not match its hash"):
        train_or_load(weizmann, TINY, tmp_path)


def test_nothing_held_out_is_an_error(tmp_path: Path) -> None:
    store = write_store("weizmann", tmp_path / "s", {"a_bend.avi": 15})
    with pytest.raises(UserError, match="no held-out clips"):
        train_or_load(store, TINY, tmp_path)


def test_the_floor_is_checked_for_each_head(weizmann_scorer: Scorer) -> None:
    heads = (Head("speaker", 10), Head("playback step", 2))
    scorer = replace(weizmann_scorer, scheme=Scheme(heads, 1), accuracies={"speaker": 0.9, "playback step": 0.7})
    assert scorer.accuracy == pytest.approx(0.8)
    assert check_floor(scorer, 0.9) is None  # the step at which a still face is played can't be seen
    reason = check_floor(scorer, 0.95)
    assert reason is not None
    assert "speaker is 0.900, below the floor (0.950; chance is 0.100)" in reason
    # Twice the chance of a head of two answers would be certainty: half way from chance to certainty instead.
    two = replace(scorer, scheme=Scheme((Head("speaker", 2),), 1), accuracies={"speaker": 0.7})
    reason = check_floor(two, None)
    assert reason is not None
    assert "below twice chance (0.750" in reason
