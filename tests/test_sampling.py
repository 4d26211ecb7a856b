import numpy as np
import torch

from tsvan.models.networks import difference
from tsvan.sampling import generate, latents, roll_out


def test_latents_belong_to_their_seed_whatever_the_batch():
    seeds = np.array([5, 9, 5])
    content, motion = latents(seeds, content_dim=8, motion_dim=4, steps=11)
    assert content.shape == (3, 8)
    assert motion.shape == (3, 11, 4)
    assert torch.equal(content[0], content[2])
    assert not torch.equal(content[0], content[1])
    alone = latents(seeds[1:2], 8, 4, 11)
    assert torch.equal(alone[0][0], content[1])
    assert torch.equal(alone[1][0], motion[1])


def test_latents_are_standard_normal():
    content, motion = latents(np.arange(200), 512, 64, 11)
    for drawn in (content, motion):
        assert abs(drawn.mean()) < 0.01
        assert abs(drawn.std() - 1) < 0.01


def test_clips_do_not_depend_on_the_batch_size(tiny_networks):
    seeds, labels = np.arange(3), np.array([0, 1, 2])
    tiny_networks.train()
    whole = torch.cat(list(generate(tiny_networks, seeds, labels, batch_size=3)))
    parts = torch.cat(list(generate(tiny_networks, seeds, labels, batch_size=2)))
    assert whole.shape == (3, 3, 10, 64, 64)
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    assert tiny_networks.training
    assert whole.abs().max() <= 1


def test_the_first_two_frames_are_heat_up(tiny_networks):
    tiny_networks.eval()
    z_c, z_m = latents(np.array([4]), 8, 4, 11)
    onehot = tiny_networks.one_hot(torch.tensor([1]))
    with torch.inference_mode():
        frames = roll_out(tiny_networks, z_c, z_m, onehot)
    assert frames.shape == (1, 3, 12, 64, 64)
    (clip,) = generate(tiny_networks, np.array([4]), np.array([1]))
    torch.testing.assert_close(clip, frames[:, :, 2:].clamp(-1, 1))
    torch.testing.assert_close(frames[:, :, 0], tiny_networks.content_decoder(z_c, onehot))


def test_differences_are_halved():
    assert difference(torch.tensor([1.0]), torch.tensor([-1.0])).item() == 1.0
