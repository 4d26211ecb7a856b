"""How a discriminator sees reconstructions, prior samples and real input, and the balance of updates (section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tsvan import losses
from tsvan.config import LossConfig
from tsvan.models.networks import Networks
from tsvan.schedules import balance


@dataclass(frozen=True)
class Judgement:
    """A discriminator's view of x~, x_p and x, each passed through it once.

    Args:
        to_fake: gradient of what the generator minimises in x~; None: the balance skips the decoder's update.
        to_prior: the same in x_p.
        to_discriminator: gradients of the discriminator's loss in its weights; None: its update is skipped.
        values: to log.
        gate: whether decoder and discriminator are to be updated, () each, where only the device knows: then all
            gradients are there.
    """

    to_fake: Tensor | None
    to_prior: Tensor | None
    to_discriminator: Sequence[Tensor | None] | None
    values: dict[str, Tensor | float]
    gate: tuple[Tensor, Tensor] | None = None


def decided_by_device(tensor: Tensor) -> bool:
    """Tell whether the balance stays on the device: a GPU would wait for the host, a CPU saves the skipped work."""
    return tensor.device.type == "cuda"


def judge_frames(
    networks: Networks,
    fake: Tensor,
    prior: Tensor,
    real: Tensor,
    loss: LossConfig,
    margin: float,
    prior_share: float = 1.0,
    mix: float = 0.5,
) -> Judgement:
    """Judge frames (B, 3, 64, 64) by D_I; see `_judge` for the shares."""
    return _judge(networks.image_discriminator, fake, prior, real, None, loss, margin, prior_share, mix)


def judge_clips(
    networks: Networks, fake: Tensor, prior: Tensor, real: Tensor, labels: Tensor, loss: LossConfig
) -> Judgement:
    """Judge clips (B, 3, T, 64, 64) of the classes `labels` (B,) by D_V."""
    return _judge(networks.video_discriminator, fake, prior, real, labels, loss, loss.balance_margin, 1.0, 0.5)


def _judge(
    discriminator: nn.Module,
    fake: Tensor,
    prior: Tensor,
    real: Tensor,
    labels: Tensor | None,
    loss: LossConfig,
    margin: float,
    prior_share: float,
    mix: float,
) -> Judgement:
    """Pass x~, x_p and x through a discriminator, in this order and each as a batch of its own; balance the updates.

    Args:
        labels: with class logits behind the first logit (D_V), the classes of all three.
        prior_share: omega, the weight of x_p.
        mix: weight of x_p in f, the loss on generated input that the balance looks at.
    """
    logits_fake, classes_fake = _split(discriminator(fake), labels)
    logits_prior, classes_prior = _split(discriminator(prior), labels)
    logits_real, classes_real = _split(discriminator(real), labels)
    on_fake, on_prior = losses.taken_for_fake(logits_fake), losses.taken_for_fake(logits_prior)
    on_real = losses.taken_for_real(logits_real)
    generator_loss = losses.taken_for_real(logits_fake) + prior_share * losses.taken_for_real(logits_prior)
    discriminator_loss = on_fake + prior_share * on_prior + on_real
    values: dict[str, Tensor | float] = {
        "generator": generator_loss.detach(),
        "discriminator_real": on_real.detach(),
        "discriminator_fake": on_fake.detach(),
        "discriminator_prior": on_prior.detach(),
    }
    if labels is not None:
        class_loss = losses.class_error(classes_fake, labels) + losses.class_error(classes_prior, labels)
        real_class_loss = losses.class_error(classes_real, labels)
        generator_loss, discriminator_loss = generator_loss + class_loss, discriminator_loss + real_class_loss
        values |= {"class_generated": class_loss.detach(), "class_real": real_class_loss.detach()}
    parts = generator_loss, discriminator_loss, [fake, prior], list(discriminator.parameters())
    if decided_by_device(fake):
        generated = torch.lerp(on_fake.detach(), on_prior.detach(), mix)
        gate = balance_on_device(on_real.detach(), generated, loss.balance_target, margin)
        values |= {"updates_decoder": gate[0].float(), "updates_discriminator": gate[1].float()}
        return _judgement(*parts, True, True, values, gate)
    balanced = balance(
        on_real.item(), (1 - mix) * on_fake.item() + mix * on_prior.item(), loss.balance_target, margin
    )
    values |= {"updates_discriminator": float(balanced.discriminator), "updates_decoder": float(balanced.decoder)}
    return _judgement(*parts, balanced.decoder, balanced.discriminator, values, None)


def _judgement(
    generator_loss: Tensor,
    discriminator_loss: Tensor,
    generated: list[Tensor],
    weights: list[nn.Parameter],
    for_decoder: bool,
    for_discriminator: bool,
    values: dict[str, Tensor | float],
    gate: tuple[Tensor, Tensor] | None,
) -> Judgement:
    """Compute the gradients that are wanted, and no others."""
    to_fake = to_prior = None
    if for_decoder:
        to_fake, to_prior = torch.autograd.grad(
            generator_loss, generated, retain_graph=for_discriminator, materialize_grads=True
        )
    to_discriminator = torch.autograd.grad(discriminator_loss, weights) if for_discriminator else None
    return Judgement(to_fake, to_prior, to_discriminator, values, gate)


def _split(logits: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
    return (logits, logits) if labels is None else (logits[:, :1], logits[:, 1:])


def balance_on_device(real: Tensor, fake: Tensor, target: float, margin: float) -> tuple[Tensor, Tensor]:
    """Tell whether to update decoder and discriminator, () each: `schedules.balance` of losses (), on the device."""
    skip_discriminator = torch.minimum(real, fake) < target - margin
    skip_decoder = torch.maximum(real, fake) > target + margin
    both = skip_discriminator & skip_decoder
    return both | ~skip_decoder, both | ~skip_discriminator
