"""The three updates: gradients against the straightforward implementation, and what each leaves alone."""

import math
from functools import partial

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import straightforward_mocogan as plain
from tsvan.data.published import published
from tsvan.mocogan import cost, steps
from tsvan.mocogan.config import LossConfig, ModelConfig
from tsvan.mocogan.latents import drawn, of_seeds, uniform
from tsvan.mocogan.networks import OWNERS, MocoganNetworks
from tsvan.random_draws import Draws

CPU = torch.device("cpu")
LOSS = LossConfig()
LABELS = torch.tensor([0, 2])


def made(classes, dtype=torch.float64):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MocoganNetworks(ModelConfig(content_dim=4, motion_dim=3, ngf=2, ndf=2), classes).to(dtype).train()


class Wide(Draws):
    """In float64, so that only what is computed differs."""

    def noise(self, *shape):
        return super().noise(*shape).double()


def inputs(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(2, 3, 16, 64, 64, generator=generator) * 2 - 1).to(dtype)


@pytest.mark.parametrize("classes", [3, 1])
def test_gradients_are_those_of_the_straightforward_implementation(classes):
    clips, draw = inputs(), partial(Wide, 0, 1, CPU)
    frames = clips[:, :, 4:5]
    labels = LABELS % classes
    pairs = [
        (
            steps.image_step(made(classes), frames, labels, draw(), LOSS, num_frames=16).gradients,
            plain.image_gradients(made(classes), frames, draw(), 0.1, 16),
        ),
        (
            steps.clip_step(made(classes), clips, labels, draw(), LOSS).gradients,
            plain.clip_gradients(made(classes), clips, labels, draw(), 0.1),
        ),
        (
            steps.generator_step(made(classes), clips, labels, draw(), LOSS).gradients,
            plain.generator_gradients(made(classes), 2, 16, draw(), 0.1),
        ),
    ]
    for ours, theirs in pairs:
        assert set(ours) == set(theirs)
        for owner, gradients in ours.items():
            for one, other in zip(gradients, theirs[owner], strict=True):
                assert float(other.abs().max()) > 0
                torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10)


def test_losses_of_undecided_discriminators_are_known():
    """Logits of 0: log 2 for each binary term, log K for each class term."""
    networks = made(3, torch.float32)
    with torch.no_grad():
        for judge in (networks.image_discriminator, networks.video_discriminator):
            last = judge.blocks[-1]
            last.weight.zero_()
    clips = inputs(torch.float32)
    draws = Draws(0, 1, CPU)
    images = steps.image_step(networks, clips[:, :, :1], LABELS, draws, LOSS, num_frames=16).values
    videos = steps.clip_step(networks, clips, LABELS, draws, LOSS).values
    generator = steps.generator_step(networks, clips, LABELS, draws, LOSS).values
    two, three = pytest.approx(math.log(2)), pytest.approx(math.log(3))
    assert {name: float(value) for name, value in images.items()} == {
        "discriminator_real": two, "discriminator_fake": two,
    }  # fmt: skip
    assert {name: float(value) for name, value in videos.items()} == {
        "discriminator_real": two, "discriminator_fake": two, "class_real": three,
    }  # fmt: skip
    assert {name: float(value) for name, value in generator.items()} == {
        "frames": two, "clips": two, "class_generated": three,
    }  # fmt: skip


def test_without_categories_there_are_no_class_terms():
    networks, clips = made(1, torch.float32), inputs(torch.float32)
    draws = Draws(0, 1, CPU)
    assert set(steps.clip_step(networks, clips, LABELS * 0, draws, LOSS).values) == {
        "discriminator_real", "discriminator_fake",
    }  # fmt: skip
    assert set(steps.generator_step(networks, clips, LABELS * 0, draws, LOSS).values) == {"frames", "clips"}


def test_discriminators_fakes_are_made_without_a_graph(monkeypatch):
    networks, clips = made(3, torch.float32), inputs(torch.float32)
    graphs = []
    forward = networks.generator.layers.forward
    monkeypatch.setattr(
        networks.generator.layers, "forward", lambda z: graphs.append(torch.is_grad_enabled()) or forward(z)
    )
    draws = Draws(0, 1, CPU)
    steps.image_step(networks, clips[:, :, :1], LABELS, draws, LOSS, num_frames=16)
    steps.clip_step(networks, clips, LABELS, draws, LOSS)
    assert graphs == [False, False]
    steps.generator_step(networks, clips, LABELS, draws, LOSS)
    assert graphs == [False, False, True, True]


def test_single_frames_are_those_of_their_clips():
    networks = made(3, torch.float32).eval()
    latents = drawn(networks, 4, 16, Draws(0, 1, CPU))
    times = torch.tensor([0, 3, 15, 8])
    clips = latents.clips(networks.generator)
    frames = latents.frames(networks.generator, times)
    torch.testing.assert_close(frames, torch.stack([clips[n, :, t] for n, t in enumerate(times)]), rtol=1e-4, atol=1e-5)


def test_categories_and_times_are_uniform():
    found = torch.bincount(uniform(Draws(0, 1, CPU), 16_000, 16), minlength=16)
    assert len(found) == 16
    assert int((found - 1000).abs().max()) < 130  # four standard deviations of a count


def test_a_shorter_clip_is_the_beginning_of_a_longer_one_whatever_the_batch():
    networks = made(3, torch.float32).eval()
    seeds, labels = torch.tensor([5, 2**40, 7]).numpy(), torch.tensor([0, 1, 2])
    long = of_seeds(networks, seeds, labels, 16).clips(networks.generator)
    short = of_seeds(networks, seeds[1:2], labels[1:2], 10).clips(networks.generator)
    torch.testing.assert_close(long[1:2, :, :10], short, rtol=1e-4, atol=1e-5)
    assert not torch.equal(long[0], long[2])


def test_operations_are_fewer_than_the_straightforward_ones_and_as_estimated():
    networks = MocoganNetworks(ModelConfig(), 10).train()
    clips, labels, draw = inputs(torch.float32), torch.tensor([1, 9]), partial(Draws, 0, 1, CPU)
    ours = flops(lambda: [
        steps.image_step(networks, clips[:, :, :1], labels, draw(), LOSS, num_frames=16),
        steps.clip_step(networks, clips, labels, draw(), LOSS),
        steps.generator_step(networks, clips, labels, draw(), LOSS),
    ])  # fmt: skip
    theirs = flops(lambda: [
        plain.image_gradients(networks, clips[:, :, :1], draw(), 0.1, 16),
        plain.clip_gradients(networks, clips, labels, draw(), 0.1),
        plain.generator_gradients(networks, 2, 16, draw(), 0.1),
    ])  # fmt: skip
    print(f"GFLOP an iteration at batch 2: {ours:.1f}, straightforward {theirs:.1f}")
    assert ours < 0.95 * theirs
    config = published("weizmann", "mocogan").with_settings({"iterations": 1, "batch_size": 2})
    assert cost.gflop(config) == pytest.approx(ours, rel=0.05)


def flops(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 1e9


def test_every_owner_is_updated_by_one_step():
    networks, clips, draws = made(3, torch.float32), inputs(torch.float32), Draws(0, 1, CPU)
    results = [
        steps.image_step(networks, clips[:, :, :1], LABELS, draws, LOSS, num_frames=16),
        steps.clip_step(networks, clips, LABELS, draws, LOSS),
        steps.generator_step(networks, clips, LABELS, draws, LOSS),
    ]
    assert sorted(owner for result in results for owner in result.gradients) == sorted(OWNERS)
