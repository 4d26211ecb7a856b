"""A sequence of layers in which norms and activations are computed together."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm


class Stack(nn.Sequential):
    """As `nn.Sequential`, with the same layers and values: (leaky) ReLUs work in place, and in training on a CPU they
    are computed with the batch norm before them."""

    def forward(self, inputs: Tensor, first: int = 0) -> Tensor:
        """Apply the layers from number `first` on."""
        result, norm = inputs, None
        for layer in list(self)[first:]:
            slope = _slope(layer)
            if norm is not None:
                fused = slope is not None and _fusable(norm, result)
                result = _normalised(norm, result, slope) if fused else norm(result)  # type: ignore[arg-type]
                norm = None
                if fused:
                    continue
            if isinstance(layer, _BatchNorm):
                norm = layer
            elif slope is not None and result is not inputs:
                result = F.leaky_relu_(result, slope) if slope else F.relu_(result)
            else:
                result = layer(result)
        return result if norm is None else norm(result)


def _slope(layer: nn.Module) -> float | None:
    """Of a (leaky) ReLU below zero; None for other layers."""
    if isinstance(layer, nn.LeakyReLU):
        return layer.negative_slope
    return 0.0 if isinstance(layer, nn.ReLU) else None


def _fusable(norm: _BatchNorm, inputs: Tensor) -> bool:
    return norm.training and inputs.device.type == "cpu" and inputs.dtype in (torch.float32, torch.float64)


def _normalised(norm: _BatchNorm, inputs: Tensor, slope: float) -> Tensor:
    """The norm in training mode and the activation; running statistics move as the norm's own would."""
    rows = inputs.movedim(1, -1)
    flat = rows.reshape(-1, rows.shape[-1])
    result, mean, variance = _Normalised.apply(flat, norm.weight, norm.bias, norm.eps, slope)
    count = len(flat)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.momentum is not None
    with torch.no_grad():
        norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), norm.momentum)
        norm.running_var.lerp_((variance * (count / (count - 1))).to(norm.running_var.dtype), norm.momentum)
    return result.view(rows.shape).movedim(-1, 1)


class _Normalised(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        from tsvan.models import norm_cpu  # Numba takes a moment to import, and a GPU does not need it

        result, mean, variance = norm_cpu.forward(rows, weight, bias, eps, slope)
        ctx.save_for_backward(rows, weight, bias, mean, variance)
        ctx.eps, ctx.slope = eps, slope
        ctx.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        from tsvan.models import norm_cpu

        rows, weight, bias, mean, variance = ctx.saved_tensors
        arriving = gradients[0].contiguous()
        return *norm_cpu.backward(arriving, rows, weight, bias, mean, variance, ctx.eps, ctx.slope), None, None
