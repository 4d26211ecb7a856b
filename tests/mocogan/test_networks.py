"""Shapes and numbers of weights, worked out by hand from the layers; noise in training only."""

import pytest
import torch

from tsvan.mocogan.config import ModelConfig
from tsvan.mocogan.networks import OWNERS, MocoganNetworks
from tsvan.random_draws import Draws

CPU = torch.device("cpu")


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("classes", "generator", "video"),
    [
        # 70 x 512 x 16 + 512 x 256 x 16 + 256 x 128 x 16 + 128 x 64 x 16 + 64 x 3 x 16, norms 2 x (512 + .. + 64), and
        # the cell's 2 x 3 x 10 x 10 + 2 x 3 x 10; 64 taps a 3-D kernel, 11 outputs.
        (10, 573_440 + 2_097_152 + 524_288 + 131_072 + 3_072 + 1_920 + 660, 11_384_576),
        (1, 491_520 + 2_097_152 + 524_288 + 131_072 + 3_072 + 1_920 + 660, 11_056_896),
    ],
)
def test_published_networks_have_the_weights_of_their_layers(classes, generator, video):
    networks = MocoganNetworks(ModelConfig(), classes)
    assert count(networks.generator) == generator
    assert count(networks.image_discriminator) == 3_072 + 131_328 + 524_800 + 4_096
    assert count(networks.video_discriminator) == video
    assert count(networks) == sum(count(getattr(networks, owner)) for owner in OWNERS)


@pytest.mark.parametrize(("frames", "positions"), [(16, 1), (18, 3)])
def test_shapes(frames, positions, rival_networks):
    draws = Draws(0, 1, CPU)
    motion = rival_networks.generator.motion(torch.zeros(2, 3), torch.zeros(2, frames, 3))
    clips = rival_networks.generator.clips(torch.zeros(2, 4), torch.tensor([0, 2]), motion)
    assert clips.shape == (2, 3, frames, 64, 64)
    assert clips.is_contiguous(memory_format=torch.channels_last_3d)
    assert rival_networks.image_discriminator(clips[:, :, 0], draws, 0.1).shape == (2, 1, 4, 4)
    assert rival_networks.video_discriminator(clips, draws, 0.1).shape == (2, 4, positions, 1, 1)


def test_a_clip_is_its_frames_one_by_one(rival_networks):
    generator = rival_networks.generator.eval()
    content, labels, motion = torch.randn(2, 4), torch.tensor([1, 2]), torch.randn(2, 5, 3)
    clips = generator.clips(content, labels, motion)
    for t in range(5):
        torch.testing.assert_close(clips[:, :, t], generator.frames(content, labels, motion[:, t]))
    assert not torch.equal(clips[:, :, 0], clips[:, :, 1])


class Counted(Draws):
    """Draws that remember the shapes of their noise."""

    def __init__(self):
        super().__init__(0, 1, CPU)
        self.shapes = []

    def noise(self, *shape):
        self.shapes.append(shape)
        return super().noise(*shape)


@pytest.mark.parametrize(
    ("owner", "inputs", "channels"),
    [
        ("image_discriminator", torch.zeros(2, 3, 64, 64), [3, 2, 4, 8]),
        ("video_discriminator", torch.zeros(2, 3, 16, 64, 64), [3, 2, 4, 8]),  # the last of five sees no noise
    ],
)
def test_noise_is_added_before_each_convolution_in_training_only(owner, inputs, channels, rival_networks):
    judge = getattr(rival_networks, owner)
    counted = Counted()
    judge(inputs, counted, 0.1)
    assert [shape[-1] for shape in counted.shapes] == channels
    quiet = Counted()
    judge(inputs, quiet, 0.0)
    judge.eval()(inputs, quiet, 0.1)
    assert quiet.shapes == []
