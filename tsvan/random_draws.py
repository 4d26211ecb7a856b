"""Every random draw of an iteration, a pure function of (seed, iteration): a resumed run draws what the unbroken one
would have drawn, without any saved state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_STREAM = 0xD4A3


def stream(seed: int, *path: int) -> np.random.Generator:
    """The random stream of a purpose, told apart by `path`."""
    return np.random.default_rng([seed, *path])


class Draws:
    """The draws of one iteration.

    Args:
        seed: of the run.
        iteration: counted over the whole run, pre-training included.
        device: where noise is drawn.
    """

    def __init__(self, seed: int, iteration: int, device: torch.device) -> None:
        self._host = stream(seed, _STREAM, iteration)
        self._device = device
        self._generator = torch.Generator(device)
        self._generator.manual_seed(int(self._host.integers(2**62)))

    def integer(self, low: int, high: int) -> int:
        """Uniform in low..high, both included."""
        return int(self._host.integers(low, high + 1))

    def coins(self, count: int, probability: float) -> tuple[bool, ...] | tuple[Tensor, ...]:
        """`count` draws that are true with the given probability."""
        return tuple(bool(draw) for draw in self._host.random(count) < probability)

    def noise(self, *shape: int) -> Tensor:
        """Standard normal noise on the device, float32."""
        return torch.randn(*shape, generator=self._generator, device=self._device)


@dataclass(frozen=True)
class TeacherCoins:
    """Scheduled sampling of one roll-out: at which time steps the real input is given.

    Either known to the host, or tensors () on the device, whose values only the device knows.
    """

    content: tuple[bool, ...] | tuple[Tensor, ...]
    history: tuple[bool, ...] | tuple[Tensor, ...]

    @classmethod
    def draw(cls, draws: Draws, steps: int, epsilon: float) -> TeacherCoins:
        """One draw a time step for the content and another for the history, each real with probability epsilon."""
        return cls(draws.coins(steps, epsilon), draws.coins(steps, epsilon))
