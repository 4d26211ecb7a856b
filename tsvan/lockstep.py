"""Roll x~ and x_p of a sequence step out (section 4, "Sequence"): side by side where launches count, as one batch of
2 B at each time, x~'s rows before x_p's; else one after the other.

Where batch statistics are taken they are those of x~ and of x_p alone, and running statistics follow all of x~'s
batches before x_p's. So the values are the same either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tsvan.memory import sent
from tsvan.models.layout import in_time
from tsvan.models.networks import Content, Networks, difference
from tsvan.models.statistics import Apart, Moments
from tsvan.random_draws import TeacherCoins

Coin = bool | Tensor
"""Whether the real input is given: known to the host, or () on the device."""


@dataclass(frozen=True)
class RolledOut:
    """What a sequence step generated.

    Args:
        fake: x~, (B, 3, T, 64, 64).
        prior: x_p, the same.
        features: of each fused scale below 64 pixels the maps of x~'s frames 1..T-1, ((T - 1) B, C, H, W), time by
            time.
    """

    fake: Tensor
    prior: Tensor
    features: list[Tensor]


def roll_out_pair(
    networks: Networks,
    first: Tensor,
    real: Sequence[Content],
    maps: Sequence[Tensor],
    z_m: tuple[Tensor, Tensor],
    coins: tuple[TeacherCoins, TeacherCoins],
    onehot: Tensor,
) -> RolledOut:
    """Generate frames 1..T-1 of x~ and of x_p from frame 0.

    Args:
        first: frame 0 of both, (B, 3, 64, 64).
        real: contents of the real frames; those that both roll-outs are given should be contracted.
        maps: difference maps of the real frames, (B, C, 8, 8) each.
        z_m: of x~ and of x_p, (T - 1, B, motion_dim) each.
        coins: of x~ and of x_p.
        onehot: (B, K).
    """
    step = _Step(networks, real, maps, z_m, coins, onehot)
    together = [(0, 1)] if side_by_side(first) else [(0,), (1,)]
    made = [_RollOut(step, rollouts).run(first) for rollouts in together]
    step.follow(first.device)
    fake, prior = (clip for clips, _ in made for clip in clips.chunk(2 // len(made)))
    return RolledOut(fake, prior, made[0][1])


def side_by_side(tensor: Tensor) -> bool:
    """Tell whether launches count: they do on a GPU.

    The encoder's gradients come from x~ alone, but go back through both halves of a common batch, a twentieth more
    work, which a CPU saves.
    """
    return tensor.device.type == "cuda"


class _Step:
    """What both roll-outs of a step share; arguments as in `roll_out_pair`."""

    def __init__(
        self,
        networks: Networks,
        real: Sequence[Content],
        maps: Sequence[Tensor],
        z_m: tuple[Tensor, Tensor],
        coins: tuple[TeacherCoins, TeacherCoins],
        onehot: Tensor,
    ) -> None:
        self.networks, self.real, self.maps, self.z_m = networks, real, maps, z_m
        self.coins, self.onehot, self.steps = coins, onehot, len(z_m[0])
        joint = networks.motion_decoder.joint
        self.joint_weight = None if joint is None else joint.gathered()
        self.of_frames, self.of_differences = Moments(2 * self.steps), Moments(2 * self.steps)

    def follow(self, device: torch.device) -> None:
        """Move the running statistics: G_m's by all batches, E_m's by those of the differences that were given."""
        self.of_frames.follow(torch.ones(2 * self.steps, dtype=torch.bool, device=device))
        # The first time step has no history, whatever its coin.
        rows: list[Coin] = [coin for coins in self.coins for coin in (True, *coins.history[1:])]
        if all(coin is True for coin in rows):
            return
        if all(isinstance(coin, bool) for coin in rows):
            self.of_differences.follow(sent(torch.tensor([not coin for coin in rows]), device))
            return
        always = torch.ones((), dtype=torch.bool, device=device)
        given = torch.stack([coin if isinstance(coin, Tensor) else always for coin in rows])
        self.of_differences.follow(~given)


class _RollOut:
    """Some roll-outs of a step as one batch of n B.

    Args:
        rollouts: which, 0: x~, 1: x_p; n of them.
    """

    def __init__(self, step: _Step, rollouts: tuple[int, ...]) -> None:
        self._step, self._networks, self._rollouts = step, step.networks, rollouts
        self._onehot = step.onehot.repeat(len(rollouts), 1)

    def run(self, first: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Generate the clips of these roll-outs from frame 0.

        Returns:
            Clips (n B, 3, T, 64, 64), and of each scale the fused maps of the first B rows, ((T - 1) B, C, H, W).
        """
        step, networks, count, batch = self._step, self._networks, len(self._rollouts), len(first)
        z_all = torch.cat([step.z_m[rollout].to(step.z_m[0].dtype) for rollout in self._rollouts], dim=1).flatten(0, 1)
        latent_maps = networks.motion_decoder.latent_map(z_all, self._onehot.repeat(step.steps, 1))
        latents = torch.split(latent_maps, count * batch)
        state = networks.no_history(count * batch, first.device)
        frames, features = [_joined([first] * count)], []
        for t in range(step.steps):
            if t > 0:
                state = networks.advance(self._history(t, frames[t - 1], frames[t]), state)
            apart = Apart(step.of_frames, self._places(t, self._rollouts))
            frame, fused = networks.frame_of(
                self._previous(t, frames[t]), latents[t], state, step.joint_weight, apart
            )
            frames.append(frame)
            features.append([part[:batch] for part in fused])
        scales = [torch.cat(scale) for scale in zip(*features, strict=True)] if self._rollouts[0] == 0 else []
        return in_time(frames), scales

    def _history(self, t: int, before: Tensor, now: Tensor) -> Tensor:
        """Select the difference maps that the LSTM is given: real ones, or those of the frames `before` and `now`."""
        maps = self._step.maps[t - 1]

        def real() -> list[Tensor]:
            # No encoder gradient comes from x_p, so its real history needs no graph.
            return [_joined([maps.detach() if rollout else maps for rollout in self._rollouts])]

        def own(which: tuple[int, ...]) -> list[Tensor]:
            generated = difference(self._rows(before, which), self._rows(now, which))
            apart = Apart(self._step.of_differences, self._places(t, which))
            return [self._networks.motion_encoder.maps(generated, apart)]

        (given,) = self._given(t, "history", real, own)
        return given

    def _previous(self, t: int, frames: Tensor) -> Content:
        """Select the content that the next frame starts from: that of the real frame, or of the generated one."""
        content = self._step.real[t]
        if all(self._step.coins[rollout].content[t] is True for rollout in self._rollouts):
            return content.times(len(self._rollouts))

        def real() -> list[Tensor]:
            repeated = content.times(len(self._rollouts))
            return [repeated.hidden, repeated.map]

        def own(which: tuple[int, ...]) -> list[Tensor]:
            generated = self._rows(frames, which)
            made = self._networks.content(generated, self._onehot[: len(generated)])
            return [made.hidden, made.map]

        return content.with_tensors(*self._given(t, "content", real, own))

    def _given(
        self,
        t: int,
        kind: str,
        real: Callable[[], list[Tensor]],
        own: Callable[[tuple[int, ...]], list[Tensor]],
    ) -> list[Tensor]:
        """Select what the roll-outs are given, (n B, ...) each: the real input where a coin says so, else their own.

        Args:
            kind: of coin, `content` or `history`.
            real: makes the real input of all.
            own: makes the input of the roll-outs that are named from what they generated, and no other's.
        """
        coins: list[Coin] = [getattr(self._step.coins[rollout], kind)[t] for rollout in self._rollouts]
        on_device = [coin for coin in coins if isinstance(coin, Tensor)]
        if on_device:
            coin = torch.stack(on_device)
            return [_where(coin, *pair) for pair in zip(real(), own(self._rollouts), strict=True)]
        which = tuple(rollout for rollout, coin in zip(self._rollouts, coins, strict=True) if not coin)
        if not which:
            return real()
        if which == self._rollouts:
            return own(which)
        mixed = []
        for theirs, ours in zip(real(), own(which), strict=True):
            halves = list(theirs.chunk(2))
            halves[which[0]] = ours
            mixed.append(torch.cat(halves))
        return mixed

    def _rows(self, rows: Tensor, which: tuple[int, ...]) -> Tensor:
        """Select the rows of those named from a tensor that holds all roll-outs: all, or one of two halves."""
        return rows if which == self._rollouts else rows.chunk(2)[which[0]]

    def _places(self, t: int, which: tuple[int, ...]) -> tuple[int, ...]:
        """Return the places of a time step's batches among the moments."""
        return tuple(rollout * self._step.steps + t for rollout in which)


def _joined(parts: list[Tensor]) -> Tensor:
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _where(coin: Tensor, real: Tensor, own: Tensor) -> Tensor:
    """Select real or own (n B, ...), by the coins (n,)."""
    shape = len(coin), len(real) // len(coin), *real.shape[1:]
    return torch.where(coin.view(-1, *[1] * real.dim()), real.view(shape), own.view(shape)).flatten(0, 1)
