"""MoCoGAN's three updates as one would first write them: PyTorch's own layers, detach() and backward().

The reference for gradients and operations of `tsvan/mocogan`, with the same draws. It makes a graph under the
discriminators' fakes that nobody uses, and in the generator's update also the discriminators' weight gradients.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from tsvan.mocogan.networks import MocoganNetworks
from tsvan.random_draws import Draws

Owned = dict[str, list[Tensor]]


def image_gradients(networks: MocoganNetworks, real: Tensor, draws: Draws, sigma: float, num_frames: int) -> Owned:
    """Compute the gradients of D_I on frames (B, 3, 1, 64, 64)."""
    fake = fake_frames(networks, len(real), num_frames, draws)
    on_real = judged_frames(networks, real[:, :, 0], draws, sigma)
    on_fake = judged_frames(networks, fake.detach(), draws, sigma)
    return gradients(networks, "image_discriminator", real_or_fake(on_real, 1) + real_or_fake(on_fake, 0))


def clip_gradients(networks: MocoganNetworks, real: Tensor, labels: Tensor, draws: Draws, sigma: float) -> Owned:
    """Compute the gradients of D_V on clips (B, 3, 16, 64, 64)."""
    fake, _ = fake_clips(networks, len(real), real.shape[2], draws)
    on_real = judged_clips(networks, real, draws, sigma)
    on_fake = judged_clips(networks, fake.detach(), draws, sigma)
    loss = real_or_fake(on_real[:, 0], 1) + real_or_fake(on_fake[:, 0], 0)
    if networks.num_classes > 1:
        loss = loss + F.cross_entropy(on_real[:, 1:], labels)
    return gradients(networks, "video_discriminator", loss)


def generator_gradients(networks: MocoganNetworks, batch: int, num_frames: int, draws: Draws, sigma: float) -> Owned:
    """Compute the gradients of the generator."""
    frames = fake_frames(networks, batch, num_frames, draws)
    clips, labels = fake_clips(networks, batch, num_frames, draws)
    on_frames = judged_frames(networks, frames, draws, sigma)
    on_clips = judged_clips(networks, clips, draws, sigma)
    loss = real_or_fake(on_frames, 1) + real_or_fake(on_clips[:, 0], 1)
    if networks.num_classes > 1:
        loss = loss + F.cross_entropy(on_clips[:, 1:], labels)
    return gradients(networks, "generator", loss)


def gradients(networks: MocoganNetworks, owner: str, loss: Tensor) -> Owned:
    """Call backward() through everything; an owner's gradients are kept."""
    networks.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    found = [parameter.grad for parameter in getattr(networks, owner).parameters()]
    return {owner: [gradient.clone() for gradient in found if gradient is not None]}


def real_or_fake(logits: Tensor, target: int) -> Tensor:
    """Compute the binary cross-entropy, mean over positions."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def fake_frames(networks: MocoganNetworks, batch: int, num_frames: int, draws: Draws) -> Tensor:
    """Generate one frame of each of `batch` clips, by its own latents: the batch norms see these frames alone."""
    z, _ = latents(networks, batch, num_frames, draws)
    shares = torch.special.ndtr(draws.noise(batch))
    times = torch.floor(shares * num_frames).long().clamp(max=num_frames - 1)
    return rendered(networks, torch.stack([z[number, time] for number, time in enumerate(times)]))


def fake_clips(networks: MocoganNetworks, batch: int, num_frames: int, draws: Draws) -> tuple[Tensor, Tensor]:
    """Generate clips (B, 3, T, 64, 64); return them and the categories that they were made from."""
    z, labels = latents(networks, batch, num_frames, draws)
    frames = rendered(networks, z.flatten(0, 1))
    return frames.view(batch, num_frames, *frames.shape[1:]).transpose(1, 2), labels


def latents(networks: MocoganNetworks, batch: int, num_frames: int, draws: Draws) -> tuple[Tensor, Tensor]:
    """Draw [z_c, category, z_m] of every frame, (B, T, dimensions); return them and the categories."""
    config, count = networks.config, networks.num_classes
    content = draws.noise(batch, config.content_dim)
    labels = torch.floor(torch.special.ndtr(draws.noise(batch)) * count).long().clamp(max=count - 1)
    state = draws.noise(batch, config.motion_dim)
    noise = draws.noise(batch, num_frames, config.motion_dim)
    rows = []
    for t in range(num_frames):
        state = networks.generator.recurrent(noise[:, t], state)
        code = [F.one_hot(labels, count).float()] if count > 1 else []
        rows.append(torch.cat([content, *code, state], dim=1))
    return torch.stack(rows, dim=1), labels


def rendered(networks: MocoganNetworks, z: Tensor) -> Tensor:
    """Render frames (B, 3, 64, 64) from latents (B, dimensions), layer by layer."""
    weights = [layer for layer in networks.generator.layers if hasattr(layer, "weight")]
    features = F.conv_transpose2d(z[:, :, None, None], weights[0].weight)
    for norm, layer in zip(weights[1:-1:2], weights[2::2], strict=True):
        features = F.relu(F.batch_norm(features, None, None, norm.weight, norm.bias, training=True))
        features = F.conv_transpose2d(features, layer.weight, stride=2, padding=1)
    return torch.tanh(features)


def judged_frames(networks: MocoganNetworks, frames: Tensor, draws: Draws, sigma: float) -> Tensor:
    """Compute D_I's logits: noise before each of its four convolutions."""
    features = frames
    for number, block in enumerate(networks.image_discriminator.blocks):
        layers = list(block) if isinstance(block, torch.nn.Sequential) else [block]
        features = F.conv2d(noisy(features, draws, sigma), layers[0].weight, stride=2, padding=1)
        if number < 3:
            features = F.leaky_relu(normed(features, layers), 0.2)
    return features


def judged_clips(networks: MocoganNetworks, clips: Tensor, draws: Draws, sigma: float) -> Tensor:
    """Compute D_V's logits (B, 1 + K): noise before each of its convolutions but the last."""
    features = clips
    *blocks, head = networks.video_discriminator.blocks
    for block in blocks:
        layers = list(block)
        noised = noisy(features, draws, sigma)
        features = F.conv3d(noised, layers[0].weight, stride=(1, 2, 2), padding=(0, 1, 1))
        features = F.leaky_relu(normed(features, layers), 0.2)
    return F.conv3d(features, head.weight)[:, :, 0, 0, 0]


def noisy(features: Tensor, draws: Draws, sigma: float) -> Tensor:
    """Add N(0, sigma^2), in the order of memory in which the other implementation draws it."""
    batch, channels, *sizes = features.shape
    return features + sigma * draws.noise(batch, *sizes, channels).movedim(-1, 1)


def normed(features: Tensor, layers: list[torch.nn.Module]) -> Tensor:
    """Apply batch norm by the batch's own statistics where the block has one."""
    for layer in layers:
        if isinstance(layer, (torch.nn.BatchNorm2d, torch.nn.BatchNorm3d)):
            return F.batch_norm(features, None, None, layer.weight, layer.bias, training=True)
    return features
