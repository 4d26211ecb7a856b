"""A sequence of layers in which norms and activations are computed together."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.modules.batchnorm import _BatchNorm

from tsvan.models import norms
from tsvan.models.statistics import Apart

Layer = Callable[[Tensor], Tensor]


class Stack(nn.Sequential):
    """The same as `nn.Sequential`, with its layers and values.

    (Leaky) ReLUs work in place. In training they are computed with the batch norm before them. On a CPU what comes out
    is not kept for the gradient of the layer behind, but computed again: a pass over a map is cheaper than its memory.
    """

    def forward(self, inputs: Tensor, first: int = 0, then: Layer | None = None, apart: Apart | None = None) -> Tensor:
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
            if isinstance(layer, _BatchNorm) and slope is not None and norms.fusable(layer, result):
                result, again = norms.normalised(layer, result, slope, apart)
                place += 1
                continue
            if isinstance(layer, _BatchNorm) and apart is not None and layer.training:
                result, again = norms.each(layer, result, apart), None
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
