"""The steps against the straightforward trainer, and the rules of who learns from what."""

import dataclasses

import pytest
import torch

from benchmarks import straightforward
from tsvan import adversarial, steps
from tsvan.config import LossConfig, ModelConfig
from tsvan.graphs import HeldDraws, HostDraws
from tsvan.models import norms, tables
from tsvan.models.networks import OWNERS, Networks
from tsvan.models.tables import Conv
from tsvan.random_draws import Draws

CPU = torch.device("cpu")
OPEN = LossConfig(balance_margin=100.0, balance_margin_one_step=100.0, prior_share=0.7)
CASES = {
    "content": (steps.content_step, straightforward.content_gradients, {}),
    "one_step": (steps.one_step, straightforward.one_step_gradients, {}),
    "sequence, all real": (
        steps.sequence_step,
        straightforward.sequence_gradients,
        {"epsilon": 1.0, "kl_weight": 3.0},
    ),
    "sequence, half real": (
        steps.sequence_step,
        straightforward.sequence_gradients,
        {"epsilon": 0.5, "kl_weight": 3.0},
    ),
    "sequence, free": (steps.sequence_step, straightforward.sequence_gradients, {"epsilon": 0.0, "kl_weight": 3.0}),
}
LEARNING = {
    "content": {"content_encoder", "content_decoder", "image_discriminator"},
    "one_step": {"motion_encoder", "motion_decoder", "image_discriminator"},
    "sequence": {"motion_encoder", "motion_decoder", "video_discriminator"},
}
SMALL = {
    "motion_encoder": ((Conv(4, 5), Conv(4, 5)), (Conv(4, 5), Conv(4, 5)), (Conv(4, 7), Conv(4, 7))),
    "motion_hidden": 16,
    "joint_motion": 8,
    "motion_decoder": (12, 10, 8, 4),
    "kernel_channels": (4, 4, 4, 4),
    "subnet_width": 4,
    "image_discriminator": (4, 8, 8),
    "video_discriminator": (4, 4, 8, 8),
}
VARIANTS = {
    "paper": ModelConfig(ngf=2, content_dim=8, motion_dim=4),
    "release": ModelConfig(architecture="release", ngf=2, content_dim=8, motion_dim=4),
    "no joint, no mask": ModelConfig(architecture="tiny", ngf=2, content_dim=8, joint=False, mask=False),
    "one scale": ModelConfig(architecture="tiny", ngf=2, content_dim=8, kernel_layers=1),
    "three scales": ModelConfig(architecture="tiny", ngf=2, content_dim=8, kernel_layers=3),
}


@pytest.fixture(autouse=True)
def narrow_tables(monkeypatch):
    """The published tables with fewer channels: the same layers in the same places, in a tenth of the time."""
    for name in ("paper", "release"):
        monkeypatch.setitem(tables.ARCHITECTURES, name, dataclasses.replace(tables.ARCHITECTURES[name], **SMALL))


class DoubleDraws(Draws):
    def noise(self, *shape):
        return super().noise(*shape).double()


def make(config, dtype=torch.float64):
    """Networks whose kernels start small: as drawn, roll-outs amplify rounding a hundredfold a frame; at a tenth, one
    bit of the input still moves gradients by 4e-7 of the largest."""
    torch.manual_seed(0)
    networks = Networks(config, 3).to(dtype).train()
    for subnet in networks.motion_decoder.subnets.values():
        for branch in (subnet.vertical, subnet.horizontal):
            branch[-1].weight.data.mul_(0.05)
            branch[-1].bias.data.fill_(0.2)
    return networks


def some_clips(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return (torch.rand(2, 3, 10, 64, 64, generator=generator) * 2 - 1).to(dtype), torch.tensor([0, 2])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_those_of_the_straightforward_trainer(variant, case):
    networks = make(VARIANTS[variant])
    clips, labels = some_clips()
    fast, slow, schedule = CASES[case]
    # Ten generated frames feed each other, and how far rounding gets with them differs between processors.
    bound = 1e-5 if case == "sequence, free" else 1e-8
    torch.set_default_dtype(torch.float64)  # the reference makes its one-hot labels in the default type
    try:
        ours = fast(networks, clips, labels, DoubleDraws(3, 5, CPU), OPEN, **schedule).gradients
        theirs = slow(networks, clips, labels, DoubleDraws(3, 5, CPU), OPEN, **schedule)
    finally:
        torch.set_default_dtype(torch.float32)
    assert set(ours) == set(theirs) == LEARNING[case.split(",")[0]]
    for owner, gradients in ours.items():
        largest = max(float(gradient.abs().max()) for gradient in theirs[owner])
        for one, other in zip(gradients, theirs[owner], strict=True):
            torch.testing.assert_close(one, other, rtol=bound, atol=bound * largest)


@pytest.mark.parametrize(("step", "kind"), [(steps.content_step, "content"), (steps.one_step, "one_step")])
def test_adversarial_terms_do_not_reach_the_encoder(step, kind):
    check_adversarial_weight_changes_only_the_decoder(step, kind, {}, "adversarial_frames")


def test_adversarial_and_class_terms_of_clips_do_not_reach_the_encoder():
    schedule = {"epsilon": 0.5, "kl_weight": 3.0}
    check_adversarial_weight_changes_only_the_decoder(steps.sequence_step, "sequence", schedule, "adversarial_clips")


def check_adversarial_weight_changes_only_the_decoder(step, kind, schedule, weight):
    networks = make(VARIANTS["three scales"], torch.float32)
    clips, labels = some_clips(torch.float32)

    def gradients(value):
        loss = dataclasses.replace(OPEN, **{weight: value})
        return step(networks, clips, labels, Draws(3, 5, CPU), loss, **schedule).gradients

    weak, strong = gradients(1.0), gradients(1000.0)
    for owner in LEARNING[kind]:
        same = all(torch.equal(a, b) for a, b in zip(weak[owner], strong[owner], strict=True))
        assert same == (not owner.endswith("_decoder")), owner


@pytest.mark.parametrize("case", CASES)
def test_a_step_leaves_the_other_networks_weights_without_gradients(case):
    networks = make(VARIANTS["three scales"], torch.float32)
    clips, labels = some_clips(torch.float32)
    fast, _, schedule = CASES[case]
    result = fast(networks, clips, labels, Draws(0, 1, CPU), OPEN, **schedule)
    assert set(result.gradients) == LEARNING[case.split(",")[0]]
    assert all(parameter.grad is None for parameter in networks.parameters())


def test_closed_gates_leave_out_their_updates():
    networks = make(VARIANTS["three scales"], torch.float32)
    clips, labels = some_clips(torch.float32)
    for target, missing in ((2.0, "image_discriminator"), (0.1, "content_decoder")):
        loss = dataclasses.replace(OPEN, balance_target=target, balance_margin=0.3)
        result = steps.content_step(networks, clips, labels, Draws(0, 1, CPU), loss)
        assert LEARNING["content"] - set(result.gradients) == {missing}
        assert "content_encoder" in result.gradients


def test_pretraining_has_no_adversary():
    networks = make(VARIANTS["three scales"], torch.float32)
    clips, labels = some_clips(torch.float32)
    result = steps.pretrain_step(networks, clips, labels, Draws(0, 1, CPU), LossConfig(), kl_weight=1.0)
    assert set(result.gradients) == {"content_encoder", "content_decoder"}
    assert set(result.values) == {"reconstruction", "kl"}


def batches_seen(module):
    norms = [layer for layer in module.modules() if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm)]
    return {int(norm.num_batches_tracked) for norm in norms}


def test_running_statistics_move_once_for_each_distinct_batch():
    clips, labels = some_clips(torch.float32)
    networks = make(VARIANTS["three scales"], torch.float32)
    steps.content_step(networks, clips, labels, Draws(0, 1, CPU), OPEN)
    assert batches_seen(networks.image_discriminator) == {3}  # x~, x_p, real
    networks = make(VARIANTS["three scales"], torch.float32)
    steps.one_step(networks, clips, labels, Draws(0, 1, CPU), OPEN)
    assert batches_seen(networks.motion_encoder) == {1}
    assert batches_seen(networks.motion_decoder) == {2}  # x~, x_p
    networks = make(VARIANTS["three scales"], torch.float32)
    steps.sequence_step(networks, clips, labels, Draws(0, 1, CPU), OPEN, epsilon=1.0, kl_weight=1.0)
    assert batches_seen(networks.motion_encoder) == {1}  # all real differences at once
    assert batches_seen(networks.motion_decoder) == {18}  # nine frames of x~, nine of x_p
    assert batches_seen(networks.video_discriminator) == {3}
    networks = make(VARIANTS["three scales"], torch.float32)
    steps.sequence_step(networks, clips, labels, Draws(0, 1, CPU), OPEN, epsilon=0.0, kl_weight=1.0)
    assert batches_seen(networks.motion_encoder) == {1 + 8 + 8}  # and each generated difference that is fed back


def test_running_statistics_come_in_the_order_reconstruction_prior_real():
    networks = make(VARIANTS["three scales"], torch.float32)
    clips, labels = some_clips(torch.float32)
    seen = []
    networks.image_discriminator.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].detach()))
    steps.content_step(networks, clips, labels, Draws(0, 1, CPU), OPEN)
    assert len(seen) == 3
    assert any(torch.equal(seen[2], clips[:, :, t]) for t in range(9))
    assert not any(torch.equal(seen[0], clips[:, :, t]) for t in range(9))


def test_owners_cover_all_steps():
    assert set().union(*LEARNING.values()) == set(OWNERS)


def on_the_device(monkeypatch):
    monkeypatch.setattr(adversarial, "decided_by_device", lambda tensor: True)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("target", [0.68, 2.0, 0.1])
def test_a_balance_on_the_device_gates_what_the_hosts_would_skip(case, target, monkeypatch):
    loss = dataclasses.replace(OPEN, balance_target=target, balance_margin=0.3, balance_margin_one_step=0.3)
    clips, labels = some_clips(torch.float32)
    fast, _, schedule = CASES[case]
    host = fast(make(VARIANTS["three scales"], torch.float32), clips, labels, Draws(0, 1, CPU), loss, **schedule)
    on_the_device(monkeypatch)
    device = fast(make(VARIANTS["three scales"], torch.float32), clips, labels, Draws(0, 1, CPU), loss, **schedule)
    assert set(device.gradients) == LEARNING[case.split(",")[0]]
    assert {owner for owner in device.gradients if device.gates.get(owner, True)} == set(host.gradients)
    for owner, gradients in host.gradients.items():
        for one, other in zip(gradients, device.gradients[owner], strict=True):
            torch.testing.assert_close(one, other)
    for name, value in host.values.items():
        assert float(device.values[name]) == pytest.approx(float(value)), name


@pytest.mark.parametrize("kind", ["fused", "PyTorch's"])
@pytest.mark.parametrize("epsilon", [0.5, 0.0])
def test_coins_on_the_device_choose_as_the_hosts_do(epsilon, kind, monkeypatch):
    """One graph serves every outcome of scheduled sampling: gradients and running statistics are the same."""
    if kind == "PyTorch's":  # as on a GPU
        monkeypatch.setattr(norms, "fusable", lambda norm, inputs: False)
    clips, labels = some_clips(torch.float64)

    def run(draws):
        networks = make(VARIANTS["three scales"], torch.float64)
        result = steps.sequence_step(networks, clips, labels, draws, OPEN, epsilon=epsilon, kl_weight=3.0)
        return result.gradients, dict(networks.named_buffers())

    host = HostDraws.of("sequence", Draws(0, 1, CPU), clips.shape[2], epsilon)
    torch.set_default_dtype(torch.float64)
    try:
        held = HeldDraws(host.integers, host.coins, CPU)
        run(held)  # makes the places of the noise
        held.fill(DoubleDraws(0, 1, CPU), host.coins)
        held.rewind()
        (ours, our_buffers), (theirs, their_buffers) = run(held), run(DoubleDraws(0, 1, CPU))
    finally:
        torch.set_default_dtype(torch.float32)
    for owner, gradients in theirs.items():
        largest = max(float(gradient.abs().max()) for gradient in gradients)
        for one, other in zip(ours[owner], gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6 * largest)
    for name, value in their_buffers.items():
        if not name.endswith("num_batches_tracked"):
            torch.testing.assert_close(our_buffers[name], value)
    counts = [int(buffers["motion_encoder.convs.1.num_batches_tracked"]) for buffers in (our_buffers, their_buffers)]
    assert counts[0] == counts[1] == 1 + sum(not coin for row in host.coins[1::2] for coin in row[1:])


def test_all_real_coins_are_part_of_the_graph():
    host = HostDraws.of("sequence", Draws(0, 1, CPU), 10, 1.0)
    held = HeldDraws(host.integers, host.coins, CPU)
    assert held.coins(9, 0.0) == (True,) * 9
    assert host.key("sequence") != HostDraws.of("sequence", Draws(0, 1, CPU), 10, 0.0).key("sequence")


@pytest.mark.parametrize(("kind", "low"), [("one_step", 1), ("content", 0), ("pretrain", 0)])
def test_held_draws_are_the_draws_of_the_step(kind, low):
    host = HostDraws.of(kind, Draws(0, 7, CPU), 10, 1.0)
    assert host.integers == (Draws(0, 7, CPU).integer(low, 8),)
    held = HeldDraws(host.integers, host.coins, CPU)
    assert (held.integer(low, 8),) == host.integers
    place = held.noise(2, 3)
    held.fill(Draws(0, 7, CPU), host.coins)
    held.rewind()
    assert held.noise(2, 3) is place
    assert torch.equal(place, Draws(0, 7, CPU).noise(2, 3))
