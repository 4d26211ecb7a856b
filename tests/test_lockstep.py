"""x~ and x_p side by side, against one after the other."""

import dataclasses

import pytest
import torch

from benchmarks import straightforward
from tests.launches import Launches
from tsvan import lockstep, steps
from tsvan.config import LossConfig, ModelConfig, OptimiserConfig
from tsvan.graphs import HeldDraws, HostDraws
from tsvan.models import tables
from tsvan.models.layout import as_clips
from tsvan.models.networks import OWNERS, Networks, difference
from tsvan.optimisers import make_capturable, optimisers_of, update
from tsvan.random_draws import Draws, TeacherCoins

CPU = torch.device("cpu")
OPEN = LossConfig(balance_margin=100.0, balance_margin_one_step=100.0)
TINY = ModelConfig(architecture="tiny", ngf=2, content_dim=8, motion_dim=4, kernel_init="identity")


def networks_and_clips(config=TINY, dtype=torch.float64):
    torch.manual_seed(0)
    networks = Networks(config, 3).to(dtype).train()
    generator = torch.Generator().manual_seed(1)
    clips = as_clips(torch.rand(2, 3, 10, 64, 64, generator=generator).to(dtype) * 2 - 1)
    return networks, clips, torch.tensor([0, 2])


@pytest.fixture(params=["side by side", "one after the other"])
def way(request, monkeypatch):
    """How the roll-outs of a sequence are taken."""
    monkeypatch.setattr(lockstep, "side_by_side", lambda tensor: request.param == "side by side")


@pytest.mark.parametrize("epsilon", [1.0, 0.5, 0.0])
def test_gradients_are_those_of_the_straightforward_trainer(epsilon, way):
    """`test_steps.py` has more variants, in the way of a CPU."""
    networks, clips, labels = networks_and_clips()
    again, *_ = networks_and_clips()
    schedule = {"epsilon": epsilon, "kl_weight": 1.0}
    torch.set_default_dtype(torch.float64)
    try:
        ours = steps.sequence_step(networks, clips, labels, Draws(3, 5, CPU), OPEN, **schedule).gradients
        theirs = straightforward.sequence_gradients(again, clips, labels, Draws(3, 5, CPU), OPEN, **schedule)
    finally:
        torch.set_default_dtype(torch.float32)
    for owner, gradients in ours.items():
        largest = max(float(gradient.abs().max()) for gradient in theirs[owner])
        for one, other in zip(gradients, theirs[owner], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6 * largest)
    moved = dict(networks.motion_decoder.named_buffers())
    for name, expected in again.motion_decoder.named_buffers():
        torch.testing.assert_close(moved[name], expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("epsilon", [0.5, 0.0])
def test_running_statistics_follow_x_tilde_before_x_p(epsilon, way, monkeypatch):
    """The generated differences go through a second E_m one by one, in the order of the roll-outs one after another."""
    networks, clips, labels = networks_and_clips()
    again, *_ = networks_and_clips()
    made = []
    keep = lockstep.roll_out_pair
    monkeypatch.setattr(steps, "roll_out_pair", lambda *args: made.append(keep(*args)) or made[0])
    steps.sequence_step(networks, clips, labels, Draws(3, 5, CPU), OPEN, epsilon=epsilon, kl_weight=1.0)

    draws = Draws(3, 5, CPU)
    coins = TeacherCoins.draw(draws, 9, epsilon), TeacherCoins.draw(draws, 9, epsilon)
    again.motion_encoder.maps(torch.cat([difference(clips[:, :, t], clips[:, :, t + 1]) for t in range(9)]))
    for rolled, coin in zip((made[0].fake, made[0].prior), coins, strict=True):
        for t in range(1, 9):
            if not coin.history[t]:
                again.motion_encoder.maps(difference(rolled[:, :, t - 1], rolled[:, :, t]))
    moved = dict(networks.motion_encoder.named_buffers())
    for name, expected in again.motion_encoder.named_buffers():
        torch.testing.assert_close(moved[name], expected, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("epsilon", "most"), [(1.0, 5_000), (0.5, 6_600)])
def test_a_sequence_step_with_its_update_launches_few_kernels(epsilon, most, monkeypatch):
    """Any epsilon below 1 is one graph, which computes both branches of every coin."""
    narrow = {
        "motion_encoder": tables.ARCHITECTURES["tiny"].motion_encoder, "motion_decoder": (12, 10, 8, 4),
        "kernel_channels": (4, 4, 4, 4), "video_discriminator": (4, 4, 8, 8), "joint_motion": 4,
    }  # fmt: skip
    paper = dataclasses.replace(tables.ARCHITECTURES["paper"], **narrow)  # as many layers, of fewer channels
    monkeypatch.setitem(tables.ARCHITECTURES, "paper", paper)
    config = dataclasses.replace(TINY, architecture="paper")
    networks, clips, labels = networks_and_clips(config, torch.float32)
    optimisers = optimisers_of(networks, OWNERS, OptimiserConfig())
    for optimiser in optimisers.values():
        make_capturable(optimiser)
    host = HostDraws.of("sequence", Draws(0, 1, CPU), 10, epsilon)
    held = HeldDraws(host.integers, host.coins, CPU)
    launches = Launches()
    launches.as_on_a_gpu(monkeypatch)

    def step():
        held.rewind()
        weight = torch.tensor(1.0)
        result = steps.sequence_step(networks, clips, labels, held, OPEN, epsilon=epsilon, kl_weight=weight)
        update(networks, optimisers, result)

    step()  # makes the places of the noise
    before = launches.count = 0
    with launches:
        step()
    assert before < launches.count <= most
