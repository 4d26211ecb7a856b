"""The training steps (sections 2 and 4 of the model): one function each.

Encoder and decoder have different losses over one graph. So each step takes the gradients that it needs, and only
those, by name: the reconstruction's for the encoder, the reconstruction's with the adversarial ones' for the decoder.
All are taken at the weights before the step; then the optimisers step.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tsvan import losses
from tsvan.adversarial import Judgement, judge_clips, judge_frames
from tsvan.config import LossConfig
from tsvan.lockstep import roll_out_pair
from tsvan.models.layout import as_clips, by_time
from tsvan.models.networks import Content, Networks, difference
from tsvan.models.precision import full
from tsvan.random_draws import Draws, TeacherCoins
from tsvan.step_result import Gradients, StepResult


def pretrain_step(
    networks: Networks, clips: Tensor, labels: Tensor, draws: Draws, loss: LossConfig, *, kl_weight: float | Tensor
) -> StepResult:
    """Take a step of content pre-training: lambda1 MSE + lambda2(i) KL on one frame of each clip; E_c and G_c.

    Args:
        clips: (B, 3, T, 64, 64).
        labels: (B,).
        kl_weight: lambda2(i).
    """
    frames, onehot = _frames(as_clips(clips), draws), networks.one_hot(labels)
    fake, kl, _ = _reconstruct_frames(networks, frames, onehot, draws)
    reconstruction = losses.mse(fake, frames)
    total = loss.lambda1 * reconstruction + kl_weight * kl
    encoder, decoder = _parameters(networks.content_encoder), _parameters(networks.content_decoder)
    gradients = torch.autograd.grad(total, [*encoder, *decoder])
    return StepResult(
        {"content_encoder": gradients[: len(encoder)], "content_decoder": gradients[len(encoder) :]},
        {"reconstruction": reconstruction.detach(), "kl": kl.detach()},
    )


def content_step(networks: Networks, clips: Tensor, labels: Tensor, draws: Draws, loss: LossConfig) -> StepResult:
    """Take a content step, on one frame of each clip: E_c, G_c and D_I.

    Args:
        clips: (B, 3, T, 64, 64).
        labels: (B,).
    """
    frames, onehot = _frames(as_clips(clips), draws), networks.one_hot(labels)
    fake, kl, mean = _reconstruct_frames(networks, frames, onehot, draws)
    prior = full(networks.content_decoder(_prior(draws, mean), onehot))
    reconstruction = losses.mse(fake, frames)
    judged = judge_frames(
        networks, fake, prior, frames, loss, loss.balance_margin, prior_share=loss.prior_share, mix=loss.prior_share
    )
    matched = loss.lambda1 * reconstruction
    gradients, gates = _generator_gradients(
        networks, "content", matched + loss.lambda2 * kl, matched, fake, prior, judged, loss.adversarial_frames
    )
    return StepResult(
        gradients, {"reconstruction": reconstruction.detach(), "kl": kl.detach(), **judged.values}, gates
    )


def one_step(networks: Networks, clips: Tensor, labels: Tensor, draws: Draws, loss: LossConfig) -> StepResult:
    """Take a step of one-step prediction, of x_t from x_{t-1} and the real history: E_m, G_m and D_I.

    Args:
        clips: (B, 3, T, 64, 64).
        labels: (B,).
    """
    clips = as_clips(clips)
    batch, frames_count = len(clips), clips.shape[2]
    t = draws.integer(1, frames_count - 2)
    onehot = networks.one_hot(labels)
    target = clips[:, :, t]
    with torch.no_grad():
        content = networks.content(clips[:, :, t - 1], onehot)
        targets = networks.scale_targets(networks.content(target, onehot))
    maps = _difference_maps(networks, clips[:, :, : t + 1])
    mean, logvar = networks.motion_encoder.posterior(maps[-1], onehot)
    state = networks.no_history(batch, clips.device)
    for difference_map in maps[:-1]:
        state = networks.advance(difference_map, state)
    z_posterior = losses.reparameterise(mean, logvar, draws.noise(*mean.shape))
    Content.contract([content])
    fake, features = networks.next_frame(content, z_posterior, state, onehot)
    prior, _ = networks.next_frame(content, _prior(draws, mean), state, onehot)

    reconstruction, kl = losses.mse(fake, target), losses.gaussian_kl(mean, logvar)
    scales = losses.feature_distance(features, targets)
    judged = judge_frames(networks, fake, prior, target, loss, loss.balance_margin_one_step)
    matched = loss.lambda4 * reconstruction + loss.lambda3 * scales
    gradients, gates = _generator_gradients(
        networks, "motion", matched + loss.one_step_kl * kl, matched, fake, prior, judged, loss.adversarial_frames
    )
    return StepResult(
        gradients,
        {"reconstruction": reconstruction.detach(), "kl": kl.detach(), "scales": _value(scales), **judged.values},
        gates,
    )


def sequence_step(
    networks: Networks,
    clips: Tensor,
    labels: Tensor,
    draws: Draws,
    loss: LossConfig,
    *,
    epsilon: float,
    kl_weight: float | Tensor,
) -> StepResult:
    """Take a step on whole clips, with scheduled sampling: E_m, G_m and D_V.

    Args:
        clips: (B, 3, T, 64, 64).
        labels: (B,).
        epsilon: probability of a real input at each time step.
        kl_weight: lambda5(i).
    """
    clips = as_clips(clips)
    batch, steps = len(clips), clips.shape[2] - 1
    onehot = networks.one_hot(labels)
    with torch.no_grad():
        everything = networks.content(by_time(clips), onehot.repeat(steps + 1, 1))  # no batch statistics in there
        real = everything.split(batch)
        first = full(networks.content_decoder.render(real[0].map))
        targets = networks.scale_targets(everything.rows(slice(batch, None)))
    maps = _difference_maps(networks, clips)
    mean, logvar = networks.motion_encoder.posterior(torch.cat(maps), onehot.repeat(steps, 1))
    z_posterior = losses.reparameterise(mean, logvar, draws.noise(*mean.shape)).view(steps, batch, -1)
    z_prior = _prior(draws, z_posterior)
    coins = TeacherCoins.draw(draws, steps, epsilon), TeacherCoins.draw(draws, steps, epsilon)
    Content.contract([real[t] for t in range(steps) if all(coin.content[t] is True for coin in coins)])
    made = roll_out_pair(networks, first, real, maps, (z_posterior, z_prior), coins, onehot)
    fake, prior = made.fake, made.prior

    reconstruction, kl = losses.mse(fake, clips), losses.gaussian_kl(mean, logvar)
    scales = losses.feature_distance(made.features, targets)  # its mean over frames is F / (T - 1)
    judged = judge_clips(networks, fake, prior, clips, labels, loss)
    matched = loss.lambda4 * reconstruction + loss.lambda3 * scales
    gradients, gates = _generator_gradients(
        networks, "motion", matched + kl_weight * kl, matched, fake, prior, judged, loss.adversarial_clips
    )
    return StepResult(
        gradients,
        {"reconstruction": reconstruction.detach(), "kl": kl.detach(), "scales": _value(scales), **judged.values},
        gates,
    )


def _frames(clips: Tensor, draws: Draws) -> Tensor:
    """Take the frame of each clip at one index for the batch, uniform in 0..T-2."""
    return clips[:, :, draws.integer(0, clips.shape[2] - 2)]


def _prior(draws: Draws, like: Tensor) -> Tensor:
    """Draw from N(0, I), as many and as precise as the posterior's means."""
    return draws.noise(*like.shape).to(full(like).dtype)


def _reconstruct_frames(
    networks: Networks, frames: Tensor, onehot: Tensor, draws: Draws
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute x~ of frames, the KL and the posterior's means."""
    mean, logvar = networks.content_encoder(frames, onehot)
    z_c = losses.reparameterise(mean, logvar, draws.noise(*mean.shape))
    return full(networks.content_decoder(z_c, onehot)), losses.gaussian_kl(mean, logvar), mean


def _difference_maps(networks: Networks, clips: Tensor) -> tuple[Tensor, ...]:
    """Compute E_m's maps of all real differences of `clips` (B, 3, n + 1, 64, 64) as a batch: n maps (B, C, 8, 8)."""
    differences = difference(clips[:, :, :-1], clips[:, :, 1:])
    batch, _, count = differences.shape[:3]
    maps = networks.motion_encoder.maps(by_time(differences))  # (n B, C, 8, 8)
    return torch.split(maps, batch) if count else ()


def _generator_gradients(
    networks: Networks,
    name: str,
    encoder_loss: Tensor,
    matched: Tensor,
    fake: Tensor,
    prior: Tensor,
    judged: Judgement,
    adversarial: float,
) -> tuple[Gradients, dict[str, Tensor]]:
    """Compute gradients of a stream's encoder, its decoder and the discriminator that judged; also gates on the device.

    Args:
        name: `content` or `motion`.
        encoder_loss: all that the encoder minimises.
        matched: what the decoder minimises beside the adversarial and class terms.
        fake: x~ with its graph.
        prior: x_p with its graph.
        adversarial: weight of the adversarial and class terms.
    """
    encoder, decoder = f"{name}_encoder", f"{name}_decoder"
    update_decoder = judged.to_fake is not None and judged.to_prior is not None
    gradients: Gradients = {
        encoder: torch.autograd.grad(
            encoder_loss, _parameters(getattr(networks, encoder)), retain_graph=update_decoder
        )
    }
    if judged.to_fake is not None and judged.to_prior is not None:
        gradients[decoder] = torch.autograd.grad(
            [matched, fake, prior],
            _parameters(getattr(networks, decoder)),
            [torch.ones_like(matched), adversarial * judged.to_fake, adversarial * judged.to_prior],
        )
    judge = "video_discriminator" if fake.dim() == 5 else "image_discriminator"
    if judged.to_discriminator is not None:
        gradients[judge] = judged.to_discriminator
    return gradients, {} if judged.gate is None else dict(zip((decoder, judge), judged.gate, strict=True))


def _parameters(module: nn.Module) -> list[nn.Parameter]:
    return list(module.parameters())


def _value(term: Any) -> Tensor | float:
    return term.detach() if isinstance(term, Tensor) else float(term)
