"""MoCoGAN's three updates. Each draws fakes of its own; the discriminators' are made without a graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tsvan import losses
from tsvan.mocogan.config import LossConfig
from tsvan.mocogan.latents import drawn, uniform
from tsvan.mocogan.networks import MocoganNetworks
from tsvan.models.layout import as_clips
from tsvan.random_draws import Draws
from tsvan.step_result import StepResult


def image_step(
    networks: MocoganNetworks, real: Tensor, labels: Tensor, draws: Draws, loss: LossConfig, *, num_frames: int
) -> StepResult:
    """Take D_I's step: BCE(real frames, 1) + BCE(fake frames, 0).

    Args:
        real: one frame a clip, (B, 3, 1, 64, 64).
        labels: (B,), unused.
        num_frames: T; fake frames are those at a uniformly random time of clips of T frames.
    """
    judge, frames = networks.image_discriminator, real[:, :, 0].contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        fake = _fake_frames(networks, len(frames), num_frames, draws)
    on_real = losses.taken_for_real(judge(frames, draws, loss.noise_sigma))
    on_fake = losses.taken_for_fake(judge(fake, draws, loss.noise_sigma))
    gradients = torch.autograd.grad(on_real + on_fake, _parameters(judge))
    return StepResult(
        {"image_discriminator": gradients},
        {"discriminator_real": on_real.detach(), "discriminator_fake": on_fake.detach()},
    )


def clip_step(networks: MocoganNetworks, real: Tensor, labels: Tensor, draws: Draws, loss: LossConfig) -> StepResult:
    """Take D_V's step: BCE(real clips, 1) + BCE(fake clips, 0) + CE(real clips, their labels); no class term at K = 1.

    Args:
        real: (B, 3, T, 64, 64).
        labels: (B,).
    """
    judge, real = networks.video_discriminator, as_clips(real)
    with torch.no_grad():
        fake = drawn(networks, len(real), real.shape[2], draws).clips(networks.generator)
    logits, classes = _split(judge(real, draws, loss.noise_sigma))
    on_real = losses.taken_for_real(logits)
    on_fake = losses.taken_for_fake(_split(judge(fake, draws, loss.noise_sigma))[0])
    total = on_real + on_fake
    values: dict[str, Tensor | float] = {
        "discriminator_real": on_real.detach(),
        "discriminator_fake": on_fake.detach(),
    }
    if networks.num_classes > 1:
        class_loss = losses.class_error(classes, labels)
        total, values = total + class_loss, {**values, "class_real": class_loss.detach()}
    return StepResult({"video_discriminator": torch.autograd.grad(total, _parameters(judge))}, values)


def generator_step(
    networks: MocoganNetworks, real: Tensor, labels: Tensor, draws: Draws, loss: LossConfig
) -> StepResult:
    """Take the generator's step.

    Its loss is BCE(D_I(frames), 1) + BCE(D_V(clips), 1) + CE(D_V's class logits, the categories of the clips).

    Args:
        real: (B, 3, T, 64, 64), of which only the shape counts.
        labels: (B,), unused.
    """
    batch, num_frames, sigma = len(real), real.shape[2], loss.noise_sigma
    frames = _fake_frames(networks, batch, num_frames, draws)
    latents = drawn(networks, batch, num_frames, draws)
    clips = latents.clips(networks.generator)
    of_frames = losses.taken_for_real(networks.image_discriminator(frames, draws, sigma))
    logits, classes = _split(networks.video_discriminator(clips, draws, sigma))
    of_clips = losses.taken_for_real(logits)
    total = of_frames + of_clips
    values: dict[str, Tensor | float] = {"frames": of_frames.detach(), "clips": of_clips.detach()}
    if networks.num_classes > 1:
        class_loss = losses.class_error(classes, latents.labels)
        total, values = total + class_loss, {**values, "class_generated": class_loss.detach()}
    return StepResult({"generator": torch.autograd.grad(total, _parameters(networks.generator))}, values)


def _fake_frames(networks: MocoganNetworks, batch: int, num_frames: int, draws: Draws) -> Tensor:
    """Generate frames (B, 3, 64, 64), each of a clip of its own at a uniformly random time."""
    latents = drawn(networks, batch, num_frames, draws)
    return latents.frames(networks.generator, uniform(draws, batch, num_frames))


def _split(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Split logits (B, 1 + K, positions, 1, 1) by what they judge.

    Returns:
        Real/fake logits (B, positions), and class logits (B, K) averaged over positions.
    """
    flat = logits.flatten(2)
    return flat[:, 0], flat[:, 1:].mean(dim=2)


def _parameters(module: nn.Module) -> Sequence[nn.Parameter]:
    return list(module.parameters())
