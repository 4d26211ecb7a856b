"""Training steps, updates included, as captured CUDA graphs: one launch in place of thousands, no host between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from tsvan.memory import sent
from tsvan.out_of_memory import memory_error
from tsvan.random_draws import Draws
from tsvan.step_result import Step, StepResult

_log = logging.getLogger(__name__)

WARM_UPS = 3  # runs before a capture, in which libraries choose their algorithms and allocate their workspaces

Values = tuple[tuple[str, ...], Tensor]
"""Names, and their values on the device, (n,) float32."""


class HeldDraws(Draws):
    """Draws whose places in memory stay, for a graph to read: filled anew before each replay.

    Args:
        integers: what `integer` returns, call by call; a part of the graph.
        coins: what `coins` returns, call by call. All true: a part of the graph; else tensors, so that one graph
            serves every outcome.
        device: of the tensors.
    """

    def __init__(self, integers: Sequence[int], coins: Sequence[tuple[bool, ...]], device: torch.device) -> None:
        self._device = device
        self._integers = list(integers)
        self._fixed = all(all(row) for row in coins)
        self._coins = torch.zeros(len(coins), len(coins[0]) if coins else 0, dtype=torch.bool, device=device)
        self._noise: list[Tensor] = []
        self._calls = [0, 0, 0]

    def fill(self, draws: Draws, coins: Sequence[tuple[bool, ...]]) -> None:
        """Take this iteration's noise and coins."""
        for place in self._noise:
            place.copy_(draws.noise(*place.shape))
        if coins and not self._fixed:
            self._coins.copy_(sent(torch.tensor(coins), self._device))

    def rewind(self) -> None:
        """Start over: the next calls return the first values again."""
        self._calls = [0, 0, 0]

    def integer(self, low: int, high: int) -> int:
        """Return the next integer, as it was given."""
        return self._integers[self._call(0)]

    def coins(self, count: int, probability: float) -> tuple[bool, ...] | tuple[Tensor, ...]:
        """Return the next coins as they were given, or the places that they are put into, () each."""
        row = self._call(1)
        return (True,) * count if self._fixed else self._coins[row].unbind()

    def noise(self, *shape: int) -> Tensor:
        """Return the place of this noise, made at the first call."""
        call = self._call(2)
        if call == len(self._noise):
            self._noise.append(torch.zeros(shape, device=self._device))
        return self._noise[call]

    def _call(self, kind: int) -> int:
        self._calls[kind] += 1
        return self._calls[kind] - 1


@dataclass(frozen=True)
class HostDraws:
    """What the host draws for a step: with it the graph is chosen, or filled."""

    integers: tuple[int, ...] = ()
    coins: tuple[tuple[bool, ...], ...] = ()

    @classmethod
    def of(cls, kind: str, draws: Draws, frames: int, epsilon: float) -> HostDraws:
        """Draw what the step of that kind would have the host draw from `draws`, in the same order."""
        if kind == "sequence":
            return cls(coins=tuple(tuple(map(bool, draws.coins(frames - 1, epsilon))) for _ in range(4)))
        return cls(integers=(draws.integer(1 if kind == "one_step" else 0, frames - 2),))

    def key(self, kind: str) -> tuple[Any, ...]:
        """Return the key of the graph that serves these draws."""
        return kind, self.integers, all(all(row) for row in self.coins)


class Graphs:
    """The graphs of a run, captured as their steps come up.

    Args:
        networks: whose running statistics a warm-up must leave alone.
        device: a CUDA device.
        update: takes the gradients of a step into the weights, on the device alone and into memory that exists already.
    """

    def __init__(self, networks: nn.Module, device: torch.device, update: Callable[[StepResult], None]) -> None:
        self._networks, self._device, self._update = networks, device, update
        self._stream = _capture_stream(device)
        self._inputs: dict[torch.Size, tuple[Tensor, Tensor]] = {}
        self._graphs: dict[tuple[Any, ...], _Graph] = {}
        self._pool: Any = None
        self._broken = False

    def __call__(
        self,
        kind: str,
        step: Step,
        clips: Tensor,
        labels: Tensor,
        draw: Callable[[], Draws],
        host: HostDraws,
        scalars: Mapping[str, float],
    ) -> Values:
        """Take a step, update included. Where a capture fails, steps run without graphs.

        Memory that runs out is no such failure: it is raised.

        Args:
            kind: of the step.
            step: called as step(clips, labels, draws, **scalars).
            draw: makes this iteration's draws, each time from their beginning.
            host: what the step will have the host draw.
            scalars: what the schedules say of this iteration.

        Returns:
            The step's values, in memory that holds until the next call.
        """
        key = (*host.key(kind), clips.shape)
        if key not in self._graphs and not self._broken:
            try:
                self._graphs[key] = self._capture(step, clips, labels, host, scalars)
            except RuntimeError as error:
                if memory_error(error):
                    raise
                cause = error.__context__ or error  # a capture that broke fails again at its end, and says less
                self._broken = True
                reason = next(iter(str(cause).splitlines()), repr(cause))
                _log.warning("training goes on without CUDA graphs, more slowly: %s", reason)
        if key in self._graphs:
            return self._graphs[key].replay(clips, labels, draw(), host, scalars)
        return self._updated(step(clips, labels, draw(), **scalars))

    def _updated(self, result: StepResult) -> Values:
        """Update the weights; of the step only the values are kept, so that its gradients' memory is free again."""
        self._update(result)
        values = [
            value.float() if isinstance(value, Tensor) else torch.full((), value, device=self._device)
            for value in result.values.values()
        ]
        return tuple(result.values), torch.stack(values)

    def _capture(
        self, step: Step, clips: Tensor, labels: Tensor, host: HostDraws, scalars: Mapping[str, float]
    ) -> _Graph:
        held = HeldDraws(host.integers, host.coins, self._device)
        places = {name: torch.zeros((), device=self._device) for name in scalars}
        if clips.shape not in self._inputs:
            self._inputs[clips.shape] = clips.clone(), labels.clone()
        captured = _Graph(torch.cuda.CUDAGraph(), *self._inputs[clips.shape], held, places)

        def run() -> StepResult:
            held.rewind()
            return step(captured.clips, captured.labels, held, **places)

        buffers = list(self._networks.buffers())
        before = [buffer.clone() for buffer in buffers]
        main = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(main)
        try:
            with torch.cuda.stream(self._stream):  # also left after a failure, where PyTorch's own block stays inside
                for _ in range(WARM_UPS):
                    run()
                with torch.cuda.graph(captured.graph, pool=self._pool, stream=self._stream):
                    captured.values = self._updated(run())
        finally:
            main.wait_stream(self._stream)
            for buffer, value in zip(buffers, before, strict=True):
                buffer.copy_(value)
        # Graphs share memory and inputs: what one leaves is used up before the next is replayed.
        self._pool = captured.graph.pool()
        return captured


@cache
def _capture_stream(device: torch.device) -> torch.cuda.Stream:
    """Return the one stream for all warm-ups and captures of a process: libraries keep a workspace for each stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@dataclass
class _Graph:
    graph: Any
    clips: Tensor
    labels: Tensor
    held: HeldDraws
    scalars: dict[str, Tensor]
    values: Values | None = None

    def replay(
        self, clips: Tensor, labels: Tensor, draws: Draws, host: HostDraws, scalars: Mapping[str, float]
    ) -> Values:
        self.clips.copy_(clips)
        self.labels.copy_(labels)
        self.held.fill(draws, host.coins)
        for name, place in self.scalars.items():
            place.fill_(scalars[name])
        self.graph.replay()
        assert self.values is not None
        return self.values
