"""One kind of training step in a process of its own: `train_step.py` says when it takes one and reads how long it took.

    python -m benchmarks.timed_step '{"trainer": "tsvan", "step": "content", ...}'

Each line on standard input is a step; each line on standard output is its JSON: milliseconds, peak memory so far.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import straightforward
from tsvan import steps
from tsvan.config import LossConfig, ModelConfig
from tsvan.draws import Draws
from tsvan.graphs import Graphs
from tsvan.memory import keep_freed_memory
from tsvan.models.layout import channels_last, laid_out_as
from tsvan.models.networks import Networks

OPEN = LossConfig(balance_margin=1e6, balance_margin_one_step=1e6)
CLASSES, T_ONE_STEP = 10, 4


@dataclass(frozen=True)
class Spec:
    """Which step.

    Args:
        trainer: `tsvan` or `straightforward`.
        step: `content`, `one-step` or `sequence`.
        epsilon: of a sequence.
        update: whether the optimisers step, too.
    """

    trainer: str
    step: str
    epsilon: float | None
    ngf: int
    content_dim: int
    architecture: str = "paper"
    precision: str = "fp32"
    batch: int = 16
    device: str = "cpu"
    update: bool = True


class FixedTime(Draws):
    """Draws whose one-step target is always the same frame."""

    def integer(self, low: int, high: int) -> int:
        """As drawn, but for the target."""
        return min(max(T_ONE_STEP, low), high) if low == 1 else super().integer(low, high)


def networks_of(spec: Spec) -> Networks:
    """Networks at their initial weights, in training mode."""
    torch.manual_seed(0)
    config = ModelConfig(architecture=spec.architecture, ngf=spec.ngf, content_dim=spec.content_dim)
    return Networks(config, CLASSES).to(spec.device).train()


def inputs_of(batch: int, device: str) -> tuple[Tensor, Tensor]:
    """Clips (B, 3, 10, 64, 64) of noise and labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    clips = torch.rand(batch, 3, 10, 64, 64, generator=generator) * 2 - 1
    return clips.to(device), (torch.arange(batch) % CLASSES).to(device)


def gradients_of(spec: Spec, networks: Networks) -> Callable[[Tensor, Tensor], dict[str, Any]]:
    """The gradients of one step, by owner of weights."""
    fast: dict[str, Any] = {
        "content": steps.content_step, "one-step": steps.one_step, "sequence": steps.sequence_step,
    }  # fmt: skip
    slow: dict[str, Any] = {
        "content": straightforward.content_gradients,
        "one-step": straightforward.one_step_gradients,
        "sequence": straightforward.sequence_gradients,
    }
    schedule = {} if spec.epsilon is None else {"epsilon": spec.epsilon}
    weight = {} if spec.epsilon is None else {"kl_weight": 2.0}
    device = torch.device(spec.device)

    def autocast() -> torch.autocast:
        return torch.autocast(device.type, torch.bfloat16, enabled=spec.precision == "bf16")

    def draw() -> Draws:
        return FixedTime(0, 1, device)

    if spec.trainer == "straightforward":

        def plainly(clips: Tensor, labels: Tensor) -> dict[str, Any]:
            with autocast():
                return slow[spec.step](networks, clips, labels, draw(), OPEN, **schedule, **weight)

        return plainly

    function = partial(fast[spec.step], networks, **schedule)

    def step(clips: Tensor, labels: Tensor, draws: Draws, **scalars: Any) -> steps.StepResult:
        with autocast():
            return function(clips, labels, draws, OPEN, **scalars)

    if device.type == "cuda":
        graphs, kind = Graphs(networks, device), spec.step.replace("-", "_")
        epsilon = 1.0 if spec.epsilon is None else spec.epsilon
        return lambda clips, labels: graphs(kind, step, clips, labels, draw, epsilon, weight).gradients
    return lambda clips, labels: step(clips, labels, draw(), **weight).gradients


def launched_kernels(run: Callable[[], object]) -> int:
    """Kernels that a CUDA device runs for one step."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        torch.cuda.synchronize()
    return sum(event.device_type == DeviceType.CUDA for event in profiler.events() or [])


def main() -> None:
    """Serve steps until standard input ends."""
    spec = Spec(**json.loads(sys.argv[1]))
    cuda, ours = spec.device == "cuda", spec.trainer == "tsvan"
    if ours and not cuda:
        keep_freed_memory()
    networks = networks_of(spec)
    if ours:
        channels_last(networks)
    if ours and cuda:
        torch.set_float32_matmul_precision("high")
    inputs, gradients = inputs_of(spec.batch, spec.device), gradients_of(spec, networks)
    fused = {"fused": True} if ours else {}
    adam = {
        name: torch.optim.Adam(module.parameters(), lr=1e-7, betas=(0.5, 0.999), **fused)
        for name, module in networks.named_children()
    }

    def step() -> None:
        for owner, values in gradients(*inputs).items():
            for parameter, gradient in zip(getattr(networks, owner).parameters(), values, strict=True):
                parameter.grad = None if gradient is None else laid_out_as(parameter, gradient)
            if spec.update:
                adam[owner].step()
            adam[owner].zero_grad(set_to_none=True)

    step()  # libraries choose their algorithms, kernels are compiled
    kernels = launched_kernels(step) if cuda else None
    print(json.dumps({"kernels": kernels}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        if cuda:
            torch.cuda.synchronize()
        ms = (time.perf_counter() - start) * 1000
        peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"ms": ms, "peak_mib": peak / 2**20}), flush=True)


if __name__ == "__main__":
    main()
