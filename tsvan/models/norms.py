"""Batch norms in training, each computed with the (leaky) ReLU behind it, of one batch or of several apart."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from tsvan.models.kernels.triton_runs import triton_runs
from tsvan.models.statistics import Apart

Again = Callable[[], Tensor]


def fusable(norm: _BatchNorm, inputs: Tensor) -> bool:
    """Tell whether the norm can be computed with an activation by the kernels of its device."""
    if not (norm.training and norm.affine and norm.track_running_stats and norm.momentum is not None):
        return False
    if inputs.device.type == "cpu":
        return inputs.dtype in (torch.float32, torch.float64)
    halves = inputs.dtype in (torch.float32, torch.bfloat16) and norm.weight.dtype == torch.float32
    return inputs.device.type == "cuda" and halves and triton_runs()


def normalised(norm: _BatchNorm, inputs: Tensor, slope: float, apart: Apart | None) -> tuple[Tensor, Again | None]:
    """Compute the norm in training mode and the activation.

    Running statistics move as the norm's own would, or those who move them are told.

    Args:
        inputs: (B, C, ...), for which `fusable` holds.
        slope: of the activation below zero.
        apart: the batches that `inputs` hold; None: it is one.

    Returns:
        The result, and how to compute it again where it should not be kept; None: it should.
    """
    rows = inputs.movedim(1, -1)
    batches = 1 if apart is None else len(apart.places)
    flat = rows.reshape(batches, -1, rows.shape[-1])
    compute = _on_a_cpu if inputs.device.type == "cpu" else _on_cuda
    return compute(norm, flat, rows.shape, slope, apart)


def each(norm: _BatchNorm, inputs: Tensor, apart: Apart) -> Tensor:
    """Compute the norm in training mode of each batch alone, by PyTorch."""
    moments, parts = apart.moments.of(norm), []
    for part, place in zip(inputs.chunk(len(apart.places)), apart.places, strict=True):
        mean, variance = moments[place].unbind()
        # A momentum of 1 leaves the batch's own moments where running statistics would be.
        parts.append(F.batch_norm(part, mean, variance, norm.weight, norm.bias, True, 1.0, norm.eps))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _on_a_cpu(
    norm: _BatchNorm, flat: Tensor, shape: torch.Size, slope: float, apart: Apart | None
) -> tuple[Tensor, Again | None]:
    result, mean, variance = _OnCpu.apply(flat, norm.weight, norm.bias, norm.eps, slope)
    _note(norm, mean, variance * (flat.shape[1] / (flat.shape[1] - 1)), apart)
    flat = flat.detach()

    def again() -> Tensor:
        from tsvan.models.kernels import norm_cpu

        once_more = norm_cpu.apply(flat, norm.weight, norm.bias, mean, variance, norm.eps, slope)
        return once_more.view(shape).movedim(-1, 1)

    return result.view(shape).movedim(-1, 1), again


def _on_cuda(
    norm: _BatchNorm, flat: Tensor, shape: torch.Size, slope: float, apart: Apart | None
) -> tuple[Tensor, Again | None]:
    result = _OnCuda.apply(flat, norm.weight, norm.bias, norm.eps, slope, _noted(norm, apart))
    return result.view(shape).movedim(-1, 1), None


def _cuda_kernels() -> ModuleType:
    from tsvan.models.kernels import norm_cuda  # needs Triton

    return norm_cuda


@torch.no_grad()
def _noted(norm: _BatchNorm, apart: Apart | None) -> tuple[Tensor, Tensor, int, float]:
    """Return where the kernels of CUDA note the moments: mean, variance, the step between batches, the momentum."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    if apart is None:
        norm.num_batches_tracked.add_(1)
        return norm.running_mean, norm.running_var, 0, norm.momentum
    table, places = apart.moments.of(norm), apart.places
    step = places[1] - places[0] if len(places) > 1 else 0
    assert places == tuple(places[0] + step * number for number in range(len(places))), places
    mean, variance = table[places[0]].unbind()
    return mean, variance, step * table.stride(0), 1.0


class _OnCuda(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
        slope: float,
        noted: tuple[Tensor, Tensor, int, float],
    ) -> Tensor:
        kernels, rows = _cuda_kernels(), rows.contiguous()
        result, moments = kernels.forward(rows, weight, bias, eps, slope, kernels.Statistics(*noted))
        ctx.save_for_backward(rows, weight, bias, moments)
        ctx.slope = slope
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight, bias, moments = ctx.saved_tensors
        arriving = gradients[0].contiguous()
        return *_cuda_kernels().backward(arriving, rows, weight, bias, moments, ctx.slope), None, None, None


@torch.no_grad()
def _note(norm: _BatchNorm, mean: Tensor, unbiased: Tensor, apart: Apart | None) -> None:
    """Take the moments of batches, (G, C) each, to where they belong."""
    if apart is not None:
        apart.moments.of(norm)[list(apart.places)] = torch.stack([mean, unbiased], dim=1).to(norm.weight.dtype)
        return
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
    norm.running_mean.lerp_(mean[0].to(norm.running_mean.dtype), norm.momentum)
    norm.running_var.lerp_(unbiased[0].to(norm.running_var.dtype), norm.momentum)


class _OnCpu(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        from tsvan.models.kernels import norm_cpu  # Numba takes a moment to import, and a GPU does not need it

        result, mean, variance = norm_cpu.forward(rows, weight, bias, eps, slope)
        ctx.save_for_backward(rows, weight, bias, mean, variance)
        ctx.eps, ctx.slope = eps, slope
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from tsvan.models.kernels import norm_cpu

        rows, weight, bias, mean, variance = ctx.saved_tensors
        arriving = gradients[0].contiguous()
        return *norm_cpu.backward(arriving, rows, weight, bias, mean, variance, ctx.eps, ctx.slope), None, None
