"""Shapes on the meta device, parameter counts worked out by hand, and the rules of the layers."""

import itertools

import pytest
import torch
from torch import nn

from tsvan.config import ModelConfig
from tsvan.models.content import ContentDecoder, ContentEncoder
from tsvan.models.discriminators import ImageDiscriminator, VideoDiscriminator
from tsvan.models.fusion import adaptive_convolution
from tsvan.models.motion import ConvLstmCell, Joint
from tsvan.models.networks import OWNERS, Networks
from tsvan.models.tables import ARCHITECTURES

PAIRS = list(itertools.product((16, 32, 64), (256, 512, 1024)))
K, B = 10, 2


def on_meta(config, num_classes=K):
    with torch.device("meta"):
        return Networks(config, num_classes).eval()


@pytest.mark.parametrize(("ngf", "content_dim"), PAIRS)
@pytest.mark.parametrize("architecture", ["paper", "release"])
def test_shapes(architecture, ngf, content_dim):
    networks = on_meta(ModelConfig(architecture=architecture, ngf=ngf, content_dim=content_dim))
    frames, onehot = torch.empty(B, 3, 64, 64, device="meta"), torch.empty(B, K, device="meta")
    mean, logvar = networks.content_encoder(frames, onehot)
    assert mean.shape == logvar.shape == (B, content_dim)
    content = networks.content_of(mean, onehot)
    assert content.hidden.shape == (B, 32 * ngf)
    assert content.map.shape == (B, ngf, 8, 8)
    assert networks.content_decoder(mean, onehot).shape == (B, 3, 64, 64)
    maps = networks.motion_encoder.maps(frames)
    assert maps.shape == (B, 16, 8, 8)
    z_mean, z_logvar = networks.motion_encoder.posterior(maps, onehot)
    assert z_mean.shape == z_logvar.shape == (B, 64)
    frame, fused = networks.next_frame(content, z_mean, networks.advance(maps, None), onehot)
    assert frame.shape == (B, 3, 64, 64)
    assert [tuple(item.shape[1:]) for item in fused] == [(ngf, 8, 8), (8 * ngf, 16, 16), (2 * ngf, 32, 32)]
    assert [item.shape for item in networks.scale_targets(content)] == [item.shape for item in fused]
    kernels = networks.motion_decoder.kernels(maps)
    assert [tuple(kernels[scale][0].shape[1:]) for scale in range(4)] == [(5, s, s) for s in (8, 16, 32, 64)]
    assert networks.image_discriminator(frames).shape == (B, 1, 4, 4)
    assert networks.video_discriminator(torch.empty(B, 3, 10, 64, 64, device="meta")).shape == (B, 1 + K)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_of_the_paper_at_16_512():
    # Convolutions of the content stream have no bias; linear layers do.
    networks = on_meta(ModelConfig())
    encoder = 9 * (3 * 16 + 16 * 16 + 16 * 32 + 32 * 32 + 32 * 16) + (1024 + 1) * 512 + 2 * (512 + K + 1) * 512
    assert count(networks.content_encoder) == encoder
    hidden = (512 + K + 1) * 512 + (512 + 1) * 1024
    decoder = 9 * (16 * 128 + 128 * 64 + 64 * 32 + 32 * 32 + 32 * 16 + 16 * 3)
    assert count(networks.content_decoder) == hidden + decoder
    assert count(networks.image_discriminator) == 16 * (3 * 16 + 16 * 32 + 32 * 64 + 64) + 2 * (32 + 64)
    video = 64 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512 + 512 * (1 + K)) + 2 * (128 + 256 + 512)
    assert count(networks.video_discriminator) == video
    convs = 25 * (3 * 16 + 16 * 16 + 16 * 32 + 32 * 32) + 49 * (32 * 32 + 32 * 16) + 3 * (16 + 16 + 32 + 32 + 32 + 16)
    assert count(networks.motion_encoder) == convs + (1024 + 1) * 512 + 2 * (512 + K + 1) * 64
    assert count(networks.motion_decoder.joint) == (1024 + 1) * 64 + (512 * 64 + 1) * 1024


@pytest.mark.parametrize(("k", "scales"), [(1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3])])
def test_kernel_layers_fuses_the_largest_scales_and_keeps_the_splits(k, scales):
    networks = on_meta(ModelConfig(kernel_layers=k))
    assert list(networks.motion_decoder.kernels(torch.empty(B, 16, 8, 8, device="meta"))) == scales
    grown = [layers[0].in_channels for layers in networks.motion_decoder.scales]
    assert grown == [16, 96, 42, 16]
    content = networks.content_of(torch.empty(B, 512, device="meta"), torch.empty(B, K, device="meta"))
    assert len(networks.scale_targets(content)) == k - 1


def test_ablations_drop_their_layers():
    plain = on_meta(ModelConfig(joint=False, mask=False))
    assert plain.motion_decoder.joint is None
    assert all(subnet.mask is None for subnet in plain.motion_decoder.subnets.values())


def test_the_release_differs_where_it_is_said_to():
    paper, release = on_meta(ModelConfig()), on_meta(ModelConfig(architecture="release"))
    strides = [conv.stride[0] for conv in release.content_encoder.convs if isinstance(conv, nn.Conv2d)]
    assert strides == [1, 2, 1, 2, 1, 2]
    assert [conv.stride[0] for conv in paper.content_encoder.convs if isinstance(conv, nn.Conv2d)] == [2, 1, 2, 1, 2]
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in release.motion_encoder.hidden)
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in paper.motion_encoder.hidden)
    subnet = release.motion_decoder.subnets["3"]
    assert [type(layer).__name__ for layer in subnet.mask] == ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "Tanh"]
    assert isinstance(subnet.trunk[0], nn.Conv2d)
    assert isinstance(paper.motion_decoder.subnets["3"].trunk[0], nn.ConvTranspose2d)


def test_biases_are_where_the_tables_have_them():
    networks = on_meta(ModelConfig())
    convolutions = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)
    for owner in OWNERS:
        for layer in getattr(networks, owner).modules():
            if isinstance(layer, convolutions):
                assert (layer.bias is not None) == owner.startswith("motion"), owner
            elif isinstance(layer, nn.Linear):
                assert layer.bias is not None
    assert not any(
        isinstance(layer, nn.modules.batchnorm._BatchNorm)
        for owner in ("content_encoder", "content_decoder")
        for layer in getattr(networks, owner).modules()
    )


def test_every_weight_has_one_owner():
    networks = on_meta(ModelConfig())
    owned = [parameter for owner in OWNERS for parameter in getattr(networks, owner).parameters()]
    assert len(owned) == len({id(p) for p in owned}) == len(list(networks.parameters()))


@pytest.mark.parametrize("scheme", ["paper", "release"])
def test_initialisation(scheme):
    torch.manual_seed(0)
    networks = Networks(ModelConfig(init=scheme), K)
    linear = networks.content_decoder.hidden[0].weight
    bound = 2**0.5 * (6 / sum(linear.shape)) ** 0.5
    assert 0.98 * bound < linear.abs().max() <= bound
    transposed = networks.content_decoder.stages[1][0].weight  # (16, 128, 3, 3)
    xavier = 2**0.5 * (6 / ((16 + 128) * 9)) ** 0.5
    default = (1 / (128 * 9)) ** 0.5  # PyTorch counts the second dimension as its inputs
    expected = xavier if scheme == "paper" else default
    assert 0.98 * expected < transposed.abs().max() <= expected
    bias = networks.content_decoder.hidden[0].bias
    assert 0 < bias.abs().max() <= (1 / (512 + K)) ** 0.5
    norm = networks.motion_encoder.convs[1]
    assert torch.equal(norm.weight, torch.ones(16))
    assert torch.equal(norm.bias, torch.zeros(16))
    assert (norm.eps, norm.momentum) == (1e-5, 0.1)


def started(kernel_init, architecture="paper"):
    torch.manual_seed(0)
    return Networks(ModelConfig(architecture=architecture, ngf=2, content_dim=8, kernel_init=kernel_init), K)


@pytest.mark.parametrize("architecture", ["paper", "release"])
def test_kernels_that_start_as_the_identity_leave_a_map_nearly_as_it_is(architecture):
    features, motion = torch.randn(4, 3, 8, 8), torch.randn(4, 32, 8, 8)
    moved = {}
    for start in ("published", "identity"):
        subnet = started(start, architecture).motion_decoder.subnets["0"]
        vertical, horizontal, mask = (part.detach() for part in subnet(motion))
        moved[start] = float((adaptive_convolution(features, vertical, horizontal) - features).square().mean())
        assert 0 < float(mask.min()) < float(mask.max()) < 1
    assert moved["identity"] < 0.1 * moved["published"]
    assert moved["identity"] > 0  # the layers before have gradients


def test_an_identity_start_changes_the_last_layers_of_the_kernels_alone():
    published, identity = (dict(started(start).named_parameters()) for start in ("published", "identity"))
    changed = {name for name, value in published.items() if not torch.equal(value, identity[name])}
    layers = {f"motion_decoder.subnets.{scale}.{way}.0" for scale in range(4) for way in ("vertical", "horizontal")}
    assert changed == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    for layer in layers:
        torch.testing.assert_close(identity[f"{layer}.weight"], 0.1 * published[f"{layer}.weight"])
        assert identity[f"{layer}.bias"].tolist() == [0, 0, 1, 0, 0]


def test_the_published_start_is_the_default():
    torch.manual_seed(0)
    plain = Networks(ModelConfig(ngf=2, content_dim=8), K).state_dict()
    assert all(torch.equal(value, plain[name]) for name, value in started("published").state_dict().items())


def test_the_cell_by_hand():
    cell = ConvLstmCell(1)
    nn.init.zeros_(cell.gates.weight)
    cell.gates.bias.data = torch.tensor([0.0, 2.0, -1.0, 0.0])  # i, j, f, o
    h, c = cell(torch.zeros(1, 1, 8, 8), (torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 4.0)))
    expected = 4 * 0.5 + 0.5 * torch.tanh(torch.tensor(2.0))  # sigmoid(f + 1) = sigmoid(i) = 1/2
    torch.testing.assert_close(c, expected.expand_as(c))
    torch.testing.assert_close(h, (0.5 * torch.tanh(expected)).expand_as(h))


def test_joint_features_are_the_outer_product_with_content_major():
    joint = Joint(6, ARCHITECTURES["tiny"])
    hidden, motion_map = torch.randn(3, 6), torch.randn(3, 4, 8, 8)
    motion = joint.motion(motion_map.flatten(1))
    product = torch.stack([torch.kron(c, m) for c, m in zip(hidden, motion, strict=True)])
    expected = torch.relu(joint.linear(product)).view(3, 4, 8, 8)
    for way in ({}, {"contracted": joint.contract(hidden)}, {"weight": joint.gathered()}):
        torch.testing.assert_close(joint(motion_map, hidden, **way), expected)


def test_longer_clips_are_averaged_over_time():
    judge = VideoDiscriminator(3, (4, 4, 4, 4)).eval()
    clip = torch.randn(1, 3, 12, 64, 64)
    positions = torch.stack([judge.head(judge.features(clip))[:, :, t, 0, 0] for t in range(3)])
    torch.testing.assert_close(judge(clip), positions.mean(0))


def test_bfloat16_gradients_of_clips_are_close_to_float32():
    # As it comes, oneDNN's weight gradient of the fourth layer is uninitialised memory.
    torch.manual_seed(0)
    judge = VideoDiscriminator(3, (4, 8, 16, 16))
    clips, weights = torch.randn(4, 3, 10, 64, 64), torch.randn(4, 3)

    def gradients(enabled):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = judge(clips)
        return torch.autograd.grad(logits.float(), list(judge.parameters()), weights)

    for exact, rounded in zip(gradients(False), gradients(True), strict=True):
        assert (exact - rounded).norm() < 0.3 * exact.norm()


def test_discriminators_use_the_slope_of_the_release():
    slopes = {
        layer.negative_slope
        for judge in (ImageDiscriminator(), VideoDiscriminator(2))
        for layer in judge.modules()
        if isinstance(layer, nn.LeakyReLU)
    }
    assert slopes == {0.2}


def test_content_modules_stand_alone():
    config, table = ModelConfig(ngf=4, content_dim=8), ARCHITECTURES["paper"]
    mean, _ = ContentEncoder(config, table, 3)(torch.zeros(2, 3, 64, 64), torch.eye(3)[:2])
    frames = ContentDecoder(config, table, 3)(mean, torch.eye(3)[:2])
    assert frames.shape == (2, 3, 64, 64)
    assert frames.abs().max() < 1
