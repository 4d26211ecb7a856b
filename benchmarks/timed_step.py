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
from tsvan.config import LossConfig, ModelConfig, OptimiserConfig
from tsvan.graphs import Graphs, HostDraws
from tsvan.memory import keep_freed_memory
from tsvan.models.layout import channels_last
from tsvan.models.networks import OWNERS, Networks
from tsvan.models.precision import choose_quickest_on_cuda
from tsvan.optimisers import make_capturable, optimisers_of, update
from tsvan.random_draws import Draws
from tsvan.step_result import Step, StepResult

OPEN = LossConfig(balance_margin=1e6, balance_margin_one_step=1e6)
CLASSES, T_ONE_STEP, KL_WEIGHT = 10, 4, 2.0


@dataclass(frozen=True)
class Spec:
    """Which step is taken, and how.

    Args:
        trainer: `tsvan` or `straightforward`.
        step: `content`, `one-step` or `sequence`.
        epsilon: of a sequence.
        update: whether the optimisers step, too.
        graphs: whether a CUDA device replays captured steps.
        tried_out: whether cuDNN tries its algorithms out.
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
    graphs: bool = True
    tried_out: bool = True


class FixedTime(Draws):
    """Draws whose one-step target is always the same frame."""

    def integer(self, low: int, high: int) -> int:
        """Draw an integer as ever, but for the target."""
        return min(max(T_ONE_STEP, low), high) if low == 1 else super().integer(low, high)


def networks_of(spec: Spec) -> Networks:
    """Build networks at their initial weights, in training mode."""
    torch.manual_seed(0)
    config = ModelConfig(architecture=spec.architecture, ngf=spec.ngf, content_dim=spec.content_dim)
    return Networks(config, CLASSES).to(spec.device).train()


def inputs_of(batch: int, device: str) -> tuple[Tensor, Tensor]:
    """Make clips (B, 3, 10, 64, 64) of noise and labels (B,)."""
    generator = torch.Generator().manual_seed(0)
    clips = torch.rand(batch, 3, 10, 64, 64, generator=generator) * 2 - 1
    return clips.to(device), (torch.arange(batch) % CLASSES).to(device)


def gradients_of(spec: Spec, networks: Networks) -> Callable[[Tensor, Tensor], dict[str, Any]]:
    """Make a function that computes the gradients of one step, by owner of weights."""
    step, draw, weight = _step_of(spec, networks), _draw_of(spec), _weight_of(spec)
    return lambda clips, labels: step(clips, labels, draw(), **weight).gradients


def whole_step(spec: Spec, networks: Networks) -> Callable[[Tensor, Tensor], object]:
    """Make a function that takes one step with its update, as a trainer takes it."""
    step, draw, weight = _step_of(spec, networks), _draw_of(spec), _weight_of(spec)
    if spec.trainer == "tsvan":
        optimisers = optimisers_of(networks, OWNERS, OptimiserConfig(lr=1e-7))
    else:
        optimisers = {
            name: torch.optim.Adam(module.parameters(), lr=1e-7, betas=(0.5, 0.999))
            for name, module in networks.named_children()
        }

    def updated(result: StepResult) -> None:
        if spec.update:
            update(networks, optimisers, result)

    if spec.trainer == "tsvan" and spec.device == "cuda" and spec.graphs:
        for optimiser in optimisers.values():
            make_capturable(optimiser)
        graphs = Graphs(networks, torch.device(spec.device), updated)
        kind, epsilon = spec.step.replace("-", "_"), 1.0 if spec.epsilon is None else spec.epsilon

        def replayed(clips: Tensor, labels: Tensor) -> object:
            host = HostDraws.of(kind, draw(), clips.shape[2], epsilon)
            return graphs(kind, step, clips, labels, draw, host, weight)

        return replayed
    return lambda clips, labels: updated(step(clips, labels, draw(), **weight))


def _weight_of(spec: Spec) -> dict[str, float]:
    return {} if spec.epsilon is None else {"kl_weight": KL_WEIGHT}


def _draw_of(spec: Spec) -> Callable[[], Draws]:
    return partial(FixedTime, 0, 1, torch.device(spec.device))


def _step_of(spec: Spec, networks: Networks) -> Step:
    """Make a kind of step of either trainer, in its precision."""
    fast: dict[str, Any] = {
        "content": steps.content_step, "one-step": steps.one_step, "sequence": steps.sequence_step,
    }  # fmt: skip
    slow: dict[str, Any] = {
        "content": straightforward.content_gradients,
        "one-step": straightforward.one_step_gradients,
        "sequence": straightforward.sequence_gradients,
    }
    schedule = {} if spec.epsilon is None else {"epsilon": spec.epsilon}

    def step(clips: Tensor, labels: Tensor, draws: Draws, **scalars: Any) -> StepResult:
        with torch.autocast(spec.device, torch.bfloat16, enabled=spec.precision == "bf16"):
            if spec.trainer == "tsvan":
                return fast[spec.step](networks, clips, labels, draws, OPEN, **schedule, **scalars)
            gradients = slow[spec.step](networks, clips, labels, draws, OPEN, **schedule, **scalars)
        return StepResult(gradients, {})

    return step


def launched_kernels(run: Callable[[], object]) -> int:
    """Count the kernels that a CUDA device runs for one step."""
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
        choose_quickest_on_cuda()
    step = partial(whole_step(spec, networks), *inputs_of(spec.batch, spec.device))
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
