"""Whole runs: what each update leaves alone, exact resume, first losses, short clips, precision and graphs."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.graph_streams import Stream, entered
from tests.tape import Tape, with_graphs
from tsvan import graphs
from tsvan.data.batches import Batch
from tsvan.data.published import published
from tsvan.mocogan.networks import OWNERS
from tsvan.models import norms
from tsvan.run_config import TrainConfig
from tsvan.sampling import generate
from tsvan.trainer import Trainer
from tsvan.validation import UserError

GOLDEN = Path(__file__).parents[1] / "golden" / "first_losses_mocogan.json"


class Drawn:
    """Clips of smooth noise, by iteration."""

    def __init__(self, frames):
        self.frames = frames

    def at(self, iteration):
        generator = torch.Generator().manual_seed(iteration)
        coarse = torch.rand(3, 3, self.frames, 8, 8, generator=generator) * 2 - 1
        clips = coarse.repeat_interleave(8, dim=3).repeat_interleave(8, dim=4)
        return Batch(clips, torch.tensor([iteration % 10, 3, 7]))


def opened(config, store, folder, **settings):
    trainer = Trainer.open(config.with_settings(settings), store, folder, "cpu", log_every=1)
    trainer.training.batches, trainer.training.frames = Drawn(16), Drawn(1)
    return trainer


def losses(trainer, until):
    return [{k: v for k, v in record.values.items() if not k.startswith("rate/")} for record in trainer.run(until)]


def test_published_values():
    config = published("mug", "mocogan")
    assert (config.dataset, config.title) == ("mug", "MoCoGAN")
    assert vars(config.model) == {"content_dim": 50, "motion_dim": 10, "ngf": 64, "ndf": 64}
    assert (config.optimiser.lr, config.optimiser.beta1, config.optimiser.weight_decay) == (2e-4, 0.5, 1e-5)
    assert (config.optimiser.batch_size, config.data.num_frames, config.schedule.total) == (32, 16, 100_000)
    assert config.loss.noise_sigma == 0.1
    assert TrainConfig.from_dict(config.to_dict()) == config
    assert config.to_dict()["model_name"] == "mocogan"
    assert config.settings_hash != published("mug").settings_hash


def test_first_losses_of_a_seeded_run(rival_config, weizmann_store, tmp_path):
    """The golden file was written by this test's own run (delete it, run, look at the difference, commit)."""
    found = losses(opened(rival_config, weizmann_store, tmp_path), 8)
    assert set(found[0]) == {
        *("images/discriminator_real", "images/discriminator_fake"),
        *("clips/discriminator_real", "clips/discriminator_fake", "clips/class_real"),
        *("generator/frames", "generator/clips", "generator/class_generated"),
    }
    if not GOLDEN.exists():
        GOLDEN.write_text(json.dumps(found, indent=1))
        pytest.fail(f"wrote {GOLDEN}; look at it and commit it")
    for iteration, (ours, theirs) in enumerate(zip(found, json.loads(GOLDEN.read_text()), strict=True), start=1):
        assert ours == pytest.approx(theirs, rel=1e-4 if iteration <= 4 else 1e-2), f"iteration {iteration}"


def test_a_resumed_run_is_the_unbroken_run_bit_for_bit(rival_config, weizmann_store, tmp_path):
    whole = Trainer.open(rival_config, weizmann_store, tmp_path / "whole", "cpu")
    list(whole.run(6))
    for stop in (1, 4, 6):
        broken = Trainer.open(rival_config, weizmann_store, tmp_path / "broken", "cpu", lambda note: None)
        list(broken.run(stop))
        broken.save()
    state = broken.networks.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in whole.networks.state_dict().items())


def test_each_update_changes_its_owner_alone(rival_config, weizmann_store, tmp_path):
    trainer = Trainer.open(rival_config, weizmann_store, tmp_path, "cpu")
    changed = []
    real = trainer._update

    def watched(result):
        before = {owner: [p.clone() for p in getattr(trainer.networks, owner).parameters()] for owner in OWNERS}
        real(result)
        after = {owner: list(getattr(trainer.networks, owner).parameters()) for owner in OWNERS}
        same = {o: all(torch.equal(a, b) for a, b in zip(before[o], after[o], strict=True)) for o in OWNERS}
        changed.append([owner for owner in OWNERS if not same[owner]])

    trainer._update = watched
    list(trainer.run(1))
    assert changed == [["image_discriminator"], ["video_discriminator"], ["generator"]]


def test_frames_and_clips_are_drawn_apart_from_the_same_clips(rival_config, weizmann_store, tmp_path):
    training = Trainer.open(rival_config, weizmann_store, tmp_path, "cpu").training
    clips, frames = training.batches, training.frames
    assert frames.clips is clips.clips
    assert frames.at(1).clips.shape == (3, 3, 1, 64, 64)
    assert clips.at(1).clips.shape == (3, 3, 16, 64, 64)
    assert any((frames.drawn(i).chosen != clips.drawn(i).chosen).any() for i in range(1, 5))
    rows = np.concatenate([frames.drawn(i).rows for i in range(1, 200)])
    inside = {row for clip in clips.clips for row in range(clip.start, clip.start + clip.num_frames)}
    assert set(rows.ravel()) <= inside
    assert len(set(rows.ravel())) > len(inside) / 3


def shortened(store, lengths, monkeypatch):
    """The store with the first training clips cut to `lengths` frames."""
    clips = list(store.clips)
    places = [place for place, clip in enumerate(clips) if clip.split == "train"]
    for place, length in zip(places, lengths, strict=False):
        clips[place] = type(clips[place])(**{**vars(clips[place]), "num_frames": length})
    monkeypatch.setattr(type(store), "split", lambda _, split: tuple(clip for clip in clips if clip.split == split))
    return [clips[place] for place in places[: len(lengths)]]


def test_short_clips_are_left_out_and_listed(rival_config, weizmann_store, tmp_path, monkeypatch):
    short, slowed = shortened(weizmann_store, [15, 16], monkeypatch)
    notes: list[str] = []
    trainer = Trainer.open(rival_config, weizmann_store, tmp_path, "cpu", notes.append)
    assert f"left out: 1 clips shorter than 16 frames: {short.source}" in notes
    assert short not in trainer.training.batches.clips
    assert slowed in trainer.training.batches.clips
    if slowed.frame_step > 1:
        assert any("playback step 1" in note and slowed.source in note for note in notes)


def test_a_store_of_short_clips_is_refused_in_a_line(rival_config, weizmann_store, tmp_path, monkeypatch):
    shortened(weizmann_store, [12] * 1000, monkeypatch)
    with pytest.raises(UserError, match=r"data\.num_frames=16 is longer than every one of the \d+ training clips of"):
        Trainer.open(rival_config, weizmann_store, tmp_path, "cpu")
    with pytest.raises(UserError, match="must be 16 or more for MoCoGAN's clip discriminator, got 10"):
        rival_config.with_settings({"num_frames": 10})


def test_a_folder_of_another_model_is_refused_by_name(rival_config, tiny_config, weizmann_store, tmp_path):
    Trainer.open(tiny_config, weizmann_store, tmp_path, "cpu").save()
    with pytest.raises(UserError, match="holds a run of TwoStreamVAN, not of MoCoGAN; give another folder"):
        Trainer.open(rival_config, weizmann_store, tmp_path, "cpu")


def test_bfloat16_trains_and_samples(rival_config, weizmann_store, tmp_path):
    trainer = opened(rival_config, weizmann_store, tmp_path, precision="bf16")
    assert all(np.isfinite(value) for record in losses(trainer, 2) for value in record.values())
    (clips,) = generate(trainer.networks, np.arange(2), np.array([0, 9]), precision="bf16")
    assert (clips.shape, clips.dtype) == ((2, 3, 10, 64, 64), torch.float32)


def test_a_run_of_replayed_graphs_is_the_run_of_its_steps(rival_config, weizmann_store, tmp_path, monkeypatch):
    monkeypatch.setattr(norms, "fusable", lambda norm, inputs: False)
    monkeypatch.setattr(graphs, "WARM_UPS", 1)
    Stream.current = Stream()
    fakes = {
        "CUDAGraph": Tape, "Stream": Stream, "current_stream": lambda device: Stream.current, "stream": entered,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    graphs._capture_stream.cache_clear()
    runs = []
    for name in ("graphs", "steps"):
        trainer = opened(rival_config, weizmann_store, tmp_path / name)
        if name == "graphs":
            with_graphs(trainer, monkeypatch)
        runs.append(losses(trainer, 4))
        if name == "graphs":
            assert not trainer._graphs._broken
            assert {key[0] for key in trainer._graphs._graphs} == {"images", "clips", "generator"}
            assert len(trainer._graphs._graphs) == 3
    for ours, theirs in zip(*runs, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_sample_depends_on_its_seed_and_label_alone(rival_config, weizmann_store, tmp_path):
    networks = Trainer.open(rival_config, weizmann_store, tmp_path, "cpu").networks
    make = partial(generate, networks)
    whole = torch.cat([*make(np.array([3, 4, 5]), np.array([0, 1, 2]), batch_size=2)])
    (alone,) = make(np.array([5]), np.array([2]))
    torch.testing.assert_close(whole[2:], alone, rtol=1e-4, atol=1e-5)
    (other,) = make(np.array([5]), np.array([3]))
    assert not torch.equal(alone, other)
