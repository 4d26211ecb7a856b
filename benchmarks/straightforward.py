"""A straightforward trainer: plain module calls, whole backward passes, nothing shared. The reference for the fast one.

Each loss of section 2 is written down as it stands, in terms of the networks' layers, and differentiated by
`backward()` into every weight; then the gradients of the weights that it owns are read. It shares no code with
`tsvan.steps`, `tsvan.losses` or `tsvan.models.fusion`'s arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsvan.config import LossConfig
from tsvan.models.networks import Networks
from tsvan.random_draws import Draws, TeacherCoins

Owned = dict[str, list[Tensor]]


def content_frozen(gradients: Callable[..., Owned]) -> Callable[..., Owned]:
    """Wrap a motion step: while it is taken, the content stream's weights have no gradients."""

    @wraps(gradients)
    def wrapped(networks: Networks, *args: Any, **schedule: Any) -> Owned:
        content = networks.content_encoder, networks.content_decoder
        for module in content:
            module.requires_grad_(False)
        try:
            return gradients(networks, *args, **schedule)
        finally:
            for module in content:
                module.requires_grad_(True)

    return wrapped


def plain(layers: Iterable[nn.Module], inputs: Tensor) -> Tensor:
    """Call one layer after another, each as PyTorch has it."""
    for layer in layers:
        inputs = layer(inputs)
    return inputs


def frame_judge(networks: Networks) -> Callable[[Tensor], Tensor]:
    """Return a function that applies D_I."""
    return lambda frames: plain(networks.image_discriminator.layers, frames)


def clip_judge(networks: Networks) -> Callable[[Tensor], Tensor]:
    """Return a function that applies D_V, averaged over time."""
    judge = networks.video_discriminator
    return lambda clips: plain([*judge.body, judge.head], clips).mean((2, 3, 4))


def unfolded_convolution(features: Tensor, vertical: Tensor, horizontal: Tensor) -> Tensor:
    """Compute S(f) by unfolding: every pixel's 25 neighbours, weighted by the outer product of its two kernels."""
    batch, channels, height, width = features.shape
    taps = vertical.shape[1]
    padded = F.pad(features, (taps // 2,) * 4, mode="replicate")
    patches = F.unfold(padded, taps).view(batch, channels, taps * taps, height, width)
    kernels = torch.einsum("bihw,bjhw->bijhw", vertical, horizontal).reshape(batch, 1, taps * taps, height, width)
    return (patches * kernels).sum(2)


def render(networks: Networks, hidden: Tensor, motion: Tensor | None) -> tuple[Tensor, list[Tensor]]:
    """Render content_hidden and the motion map (None: the content stream alone).

    Returns:
        Frames, and maps at the fused small scales.
    """
    content, decoder = networks.content_decoder, networks.motion_decoder
    features = content.to_map(hidden).view(-1, content.ngf, 8, 8)
    maps = []
    for scale, stage in enumerate(content.stages):
        features = plain(stage, features)
        if motion is not None:
            grown = plain(decoder.scales[scale], motion)
            taken, motion = grown[:, : decoder.kernel_channels[scale]], grown[:, decoder.kernel_channels[scale] :]
        if scale < decoder.first_scale:
            continue
        if motion is not None:
            subnet = decoder.subnets[str(scale)]
            trunk = plain(subnet.trunk, taken)
            kernels = plain(subnet.vertical, trunk), plain(subnet.horizontal, trunk)
            moved = unfolded_convolution(features, *kernels)
            mask = 1.0 if subnet.mask is None else (plain(subnet.mask, trunk) + 1) / 2
            features = mask * moved + (1 - mask) * features
        if scale < 3:
            maps.append(features)
    return features, maps


def predict(networks: Networks, hidden: Tensor, z_m: Tensor, h: Tensor, c: Tensor, onehot: Tensor):  # type: ignore[no-untyped-def]
    """Generate the next frame, with the outer product of the joint features formed."""
    decoder = networks.motion_decoder
    latent = decoder.latent(torch.cat([z_m, onehot], 1)).view_as(h)
    motion, _ = lstm(decoder.lstm, latent, h, c)
    if decoder.joint is not None:
        narrow = decoder.joint.motion(motion.flatten(1))
        product = torch.bmm(hidden[:, :, None], narrow[:, None]).flatten(1)
        motion = torch.relu(decoder.joint.linear(product)).view_as(h)
    return render(networks, hidden, motion)


def lstm(cell: nn.Module, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Take one step of the convolutional LSTM."""
    i, j, f, o = cell.gates(torch.cat([inputs, h], 1)).split(h.shape[1], 1)  # type: ignore[operator]
    c = c * torch.sigmoid(f + 1.0) + torch.sigmoid(i) * torch.tanh(j)
    return torch.tanh(c) * torch.sigmoid(o), c


def content_hidden(networks: Networks, frames: Tensor, onehot: Tensor) -> Tensor:
    """Compute content_hidden of real or generated frames, by the mean of z_c."""
    mean, _ = networks.content_encoder(frames, onehot)
    return networks.content_decoder.hidden(torch.cat([mean, onehot], 1))


def kl(mean: Tensor, logvar: Tensor) -> Tensor:
    """Compute the KL to the standard normal distribution, in closed form."""
    return (0.5 * (mean**2 + torch.exp(logvar) - 1 - logvar)).sum(1).mean()


def real(logits: Tensor) -> Tensor:
    """Compute the binary cross-entropy with the target "real"."""
    return F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))


def fake(logits: Tensor) -> Tensor:
    """Compute the binary cross-entropy with the target "fake"."""
    return F.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))


def content_gradients(networks: Networks, clips: Tensor, labels: Tensor, draws: Draws, loss: LossConfig) -> Owned:
    """Compute gradients of a content step with both gates open, by owner."""
    frames = clips[:, :, draws.integer(0, clips.shape[2] - 2)]
    onehot = F.one_hot(labels, networks.num_classes).float()
    mean, logvar = networks.content_encoder(frames, onehot)
    z_c = mean + torch.exp(logvar / 2) * draws.noise(*mean.shape)
    made = render(networks, networks.content_decoder.hidden(torch.cat([z_c, onehot], 1)), None)[0]
    z_p = draws.noise(*mean.shape)
    prior = render(networks, networks.content_decoder.hidden(torch.cat([z_p, onehot], 1)), None)[0]
    judge, omega = frame_judge(networks), loss.prior_share
    error = ((made - frames) ** 2).mean()
    encoder_loss = loss.lambda1 * error + loss.lambda2 * kl(mean, logvar)
    decoder_loss = loss.lambda1 * error + loss.adversarial_frames * (real(judge(made)) + omega * real(judge(prior)))
    return {
        "content_encoder": owned(networks, "content_encoder", encoder_loss),
        "content_decoder": owned(networks, "content_decoder", decoder_loss),
        "image_discriminator": owned(
            networks,
            "image_discriminator",
            fake(judge(made.detach())) + omega * fake(judge(prior.detach())) + real(judge(frames)),
        ),
    }


@content_frozen
def one_step_gradients(networks: Networks, clips: Tensor, labels: Tensor, draws: Draws, loss: LossConfig) -> Owned:
    """Compute gradients of a one-step prediction with both gates open, by owner."""
    t = draws.integer(1, clips.shape[2] - 2)
    onehot = F.one_hot(labels, networks.num_classes).float()
    target, judge = clips[:, :, t], frame_judge(networks)
    hidden = content_hidden(networks, clips[:, :, t - 1], onehot)
    targets = render(networks, content_hidden(networks, target, onehot), None)[1] if has_targets(networks) else []
    posterior_noise = draws.noise(len(clips), networks.config.motion_dim)

    def encode() -> tuple[Tensor, Tensor, Tensor, Tensor]:
        maps = encoded(networks, clips[:, :, : t + 1])
        h, c = run_lstm(networks, maps[:-1], maps[-1])
        mean, logvar = networks.motion_encoder.posterior(maps[-1], onehot)
        return h, c, mean, logvar

    h, c, mean, logvar = encode()
    z_m = mean + torch.exp(logvar / 2) * posterior_noise
    made, maps = predict(networks, hidden, z_m, h, c, onehot)
    prior_noise = draws.noise(*mean.shape)
    h, c, _, _ = encode()  # the history of x_p, encoded again
    prior, _ = predict(networks, hidden, prior_noise, h, c, onehot)
    error = ((made - target) ** 2).mean()
    scales = sum(((ours - theirs.detach()) ** 2).mean() for ours, theirs in zip(maps, targets, strict=True))
    common = loss.lambda4 * error + loss.lambda3 * scales
    return {
        "motion_encoder": owned(networks, "motion_encoder", common + loss.one_step_kl * kl(mean, logvar)),
        "motion_decoder": owned(
            networks, "motion_decoder", common + loss.adversarial_frames * (real(judge(made)) + real(judge(prior)))
        ),
        "image_discriminator": owned(
            networks,
            "image_discriminator",
            fake(judge(made.detach())) + fake(judge(prior.detach())) + real(judge(target)),
        ),
    }


@content_frozen
def sequence_gradients(
    networks: Networks,
    clips: Tensor,
    labels: Tensor,
    draws: Draws,
    loss: LossConfig,
    *,
    epsilon: float,
    kl_weight: float,
) -> Owned:
    """Compute gradients of a sequence step with both gates open, by owner."""
    steps = clips.shape[2] - 1
    onehot = F.one_hot(labels, networks.num_classes).float()
    judge = clip_judge(networks)
    maps = encoded(networks, clips)
    mean, logvar = networks.motion_encoder.posterior(torch.cat(maps), onehot.repeat(steps, 1))
    z_m = (mean + torch.exp(logvar / 2) * draws.noise(*mean.shape)).chunk(steps)
    z_p = draws.noise(steps, len(clips), mean.shape[1])
    coins = TeacherCoins.draw(draws, steps, epsilon), TeacherCoins.draw(draws, steps, epsilon)
    made, scales = unrolled(networks, clips, maps, z_m, coins[0], onehot)
    prior, _ = unrolled(networks, clips, encoded(networks, clips), z_p, coins[1], onehot)
    error = ((made - clips) ** 2).mean()
    feature_error: Tensor | float = 0.0
    for t, ours in enumerate(scales):
        with torch.no_grad():
            theirs = render(networks, content_hidden(networks, clips[:, :, t + 1], onehot), None)[1]
        feature_error = feature_error + sum(((a - b) ** 2).mean() for a, b in zip(ours, theirs, strict=True)) / steps
    common = loss.lambda4 * error + loss.lambda3 * feature_error
    on_made, on_prior = judge(made), judge(prior)
    adversarial = real(on_made[:, :1]) + real(on_prior[:, :1])
    classes = F.cross_entropy(on_made[:, 1:], labels) + F.cross_entropy(on_prior[:, 1:], labels)
    on_real = judge(clips)
    return {
        "motion_encoder": owned(networks, "motion_encoder", common + kl_weight * kl(mean, logvar)),
        "motion_decoder": owned(networks, "motion_decoder", common + loss.adversarial_clips * (adversarial + classes)),
        "video_discriminator": owned(
            networks,
            "video_discriminator",
            fake(judge(made.detach())[:, :1])
            + fake(judge(prior.detach())[:, :1])
            + real(on_real[:, :1])
            + F.cross_entropy(on_real[:, 1:], labels),
        ),
    }


def owned(networks: Networks, owner: str, loss: Tensor) -> list[Tensor]:
    """Compute a loss's gradients in the weights of one owner, from a whole backward pass into all weights."""
    networks.zero_grad(set_to_none=True)
    loss.backward(retain_graph=True)
    gradients = [parameter.grad for parameter in getattr(networks, owner).parameters()]
    networks.zero_grad(set_to_none=True)
    return gradients


def has_targets(networks: Networks) -> bool:
    """Tell whether any scale below 64 pixels is fused."""
    return networks.motion_decoder.first_scale < 3


def encoded(networks: Networks, clips: Tensor) -> list[Tensor]:
    """Compute the difference maps of all differences of `clips`, one batch."""
    frames = clips.unbind(2)
    differences = [(now - following) / 2 for now, following in pairwise(frames)]
    return list(plain(networks.motion_encoder.convs, torch.cat(differences)).chunk(len(differences)))


def run_lstm(networks: Networks, maps: Sequence[Tensor], like: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the LSTM's state after `maps`, from zero."""
    h, c = torch.zeros_like(like), torch.zeros_like(like)
    for item in maps:
        h, c = lstm(networks.motion_decoder.lstm, item, h, c)
    return h, c


def unrolled(
    networks: Networks,
    clips: Tensor,
    maps: Sequence[Tensor],
    z_m: Sequence[Tensor] | Tensor,
    coins: TeacherCoins,
    onehot: Tensor,
) -> tuple[Tensor, list[list[Tensor]]]:
    """Generate the whole clip with scheduled sampling, and the fused maps of every generated frame."""
    with torch.no_grad():
        frames = [render(networks, content_hidden(networks, clips[:, :, 0], onehot), None)[0]]
    h, c = torch.zeros_like(maps[0]), torch.zeros_like(maps[0])
    scales = []
    for t in range(len(z_m)):
        if t > 0:
            generated = (frames[t - 1] - frames[t]) / 2
            item = maps[t - 1] if coins.history[t] else plain(networks.motion_encoder.convs, generated)
            h, c = lstm(networks.motion_decoder.lstm, item, h, c)
        hidden = content_hidden(networks, clips[:, :, t] if coins.content[t] else frames[t], onehot)
        frame, fused = predict(networks, hidden, z_m[t], h, c, onehot)
        frames.append(frame)
        scales.append(fused)
    return torch.stack(frames, 2), scales
