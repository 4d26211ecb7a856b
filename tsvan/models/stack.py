"""A sequence of layers in which norms and activations are computed together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules.batchnorm import _BatchNorm

from tsvan.models.statistics import Apart

Layer = Callable[[Tensor], Tensor]


class Stack(nn.Sequential):
    """The same as `nn.Sequential`, with its layers and values.

    (Leaky) ReLUs work in place. In training on a CPU they are computed with the batch norm before them, and what comes
    out is not kept for the gradient of the layer behind, but computed again: a pass over a map is cheaper than its
    memory.
    """

    def forward(
        self, inputs: Tensor, first: int = 0, then: Layer | None = None, apart: Apart | None = None
    ) -> Tensor:
        """Apply the layers from number `first` on, and last `then`.

        Args:
            apart: the batches that `inputs` hold, whose statistics norms in training take apart; None: it is one.
        """
        result, again = inputs, None
        layers: list[Layer] = [*list(self)[first:], *([] if then is None else [then])]
        place = 0
        while place < len(layers):
            layer, slope = layers[place], _slope(layers[place + 1] if place + 1 < len(layers) else None)
            place += 1
            if isinstance(layer, _BatchNorm) and slope is not None and _fusable(layer, result):
                result, again = _normalised(layer, result, slope, apart)
                place += 1
                continue
            if isinstance(layer, _BatchNorm) and apart is not None and layer.training:
                result, again = _each(layer, result, apart), None
                continue
            result, again = _applied(layer, result, again, in_place=result is not inputs), None
        return result


def _applied(layer: Layer, inputs: Tensor, again: Callable[[], Tensor] | None, in_place: bool) -> Tensor:
    slope = _slope(layer)
    if slope is not None and in_place:
        return F.leaky_relu_(inputs, slope) if slope else F.relu_(inputs)
    if again is None:
        return layer(inputs)

    def pack(saved: Tensor) -> Tensor | Callable[[], Tensor]:
        same = saved.data_ptr() == inputs.data_ptr() and saved.shape == inputs.shape
        return again if same else saved

    def unpack(packed: Tensor | Callable[[], Tensor]) -> Tensor:
        return packed if isinstance(packed, Tensor) else packed()

    with saved_tensors_hooks(pack, unpack):
        return layer(inputs)


def _slope(layer: object) -> float | None:
    """Return the slope of a (leaky) ReLU below zero; None for anything else."""
    if isinstance(layer, nn.LeakyReLU):
        return layer.negative_slope
    return 0.0 if isinstance(layer, nn.ReLU) else None


def _fusable(norm: _BatchNorm, inputs: Tensor) -> bool:
    return norm.training and inputs.device.type == "cpu" and inputs.dtype in (torch.float32, torch.float64)


def _each(norm: _BatchNorm, inputs: Tensor, apart: Apart) -> Tensor:
    """Compute the norm in training mode of each batch alone, by PyTorch."""
    moments, parts = apart.moments.of(norm), []
    for part, place in zip(inputs.chunk(len(apart.places)), apart.places, strict=True):
        mean, variance = moments[place].unbind()
        # A momentum of 1 leaves the batch's own moments where running statistics would be.
        parts.append(F.batch_norm(part, mean, variance, norm.weight, norm.bias, True, 1.0, norm.eps))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _normalised(
    norm: _BatchNorm, inputs: Tensor, slope: float, apart: Apart | None
) -> tuple[Tensor, Callable[[], Tensor]]:
    """Compute the norm in training mode and the activation; also return how to compute them again.

    Running statistics move as the norm's own would, or those who move them are told.
    """
    rows = inputs.movedim(1, -1)
    batches = 1 if apart is None else len(apart.places)
    flat = rows.reshape(batches, -1, rows.shape[-1])
    result, mean, variance = _Normalised.apply(flat, norm.weight, norm.bias, norm.eps, slope)
    _note(norm, mean, variance * (flat.shape[1] / (flat.shape[1] - 1)), apart)
    flat = flat.detach()

    def again() -> Tensor:
        from tsvan.models.kernels import norm_cpu

        once_more = norm_cpu.apply(flat, norm.weight, norm.bias, mean, variance, norm.eps, slope)
        return once_more.view(rows.shape).movedim(-1, 1)

    return result.view(rows.shape).movedim(-1, 1), again


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


class _Normalised(torch.autograd.Function):
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
