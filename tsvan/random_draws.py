"""Every random draw of an iteration, a pure function of (seed, iteration): a resumed run draws what the unbroken one
would have drawn, without any saved state. What a clip is generated from is a pure function of its own seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_STREAM = 0xD4A3


def stream(seed: int, *path: int) -> np.random.Generator:
    """Make the random stream of a purpose, told apart by `path`."""
    return np.random.default_rng([seed, *path])


class Draws:
    """The draws of one step.

    Args:
        seed: of the run.
        iteration: counted over the whole run, pre-training included.
        device: where noise is drawn.
        part: number of the step within its iteration, from 0.
    """

    def __init__(self, seed: int, iteration: int, device: torch.device, part: int = 0) -> None:
        self._host = stream(seed, _STREAM, iteration, *([part] if part else []))
        self._device = device
        self._generator = torch.Generator(device)
        self._generator.manual_seed(int(self._host.integers(2**62)))

    def integer(self, low: int, high: int) -> int:
        """Draw an integer uniformly from low..high, both included."""
        return int(self._host.integers(low, high + 1))

    def coins(self, count: int, probability: float) -> tuple[bool, ...] | tuple[Tensor, ...]:
        """Draw `count` coins that are true with the given probability."""
        return tuple(bool(draw) for draw in self._host.random(count) < probability)

    def noise(self, *shape: int) -> Tensor:
        """Draw standard normal noise on the device, float32."""
        return torch.randn(*shape, generator=self._generator, device=self._device)


def latent_rows(seeds: NDArray[np.int64], size: int) -> Tensor:
    """Draw every clip's latent numbers from a seed of its own, the same on every device and in every batch.

    Args:
        seeds: (N,).
        size: numbers of a clip; a shorter row is the beginning of a longer one.

    Returns:
        (N, size), standard normal, float32, on the CPU.
    """
    # NumPy's generator takes all 64 bits of a seed; torch's on the CPU would only look at the lower 32.
    rows = [np.random.default_rng(int(seed)).standard_normal(size, dtype=np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, size)


@dataclass(frozen=True)
class TeacherCoins:
    """Scheduled sampling of one roll-out: at which time steps the real input is given.

    Either known to the host, or tensors () on the device, whose values only the device knows.
    """

    content: tuple[bool, ...] | tuple[Tensor, ...]
    history: tuple[bool, ...] | tuple[Tensor, ...]

    @classmethod
    def draw(cls, draws: Draws, steps: int, epsilon: float) -> TeacherCoins:
        """Draw one coin a time step for the content and another for the history, each real with probability epsilon."""
        return cls(draws.coins(steps, epsilon), draws.coins(steps, epsilon))
