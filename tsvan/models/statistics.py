"""Several batches in one tensor whose norms take the statistics of each batch alone; running statistics move later.

Batches that are computed side by side would move the running statistics in another order than one after the other, so
the order is stated, and followed when all have come.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm


class Moments:
    """Mean and variance of each batch that went through the norms of a network, for the running statistics to follow.

    Args:
        count: the most batches that may come; their places, 0..count - 1, are the order in which they are followed.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._tables: dict[_BatchNorm, Tensor] = {}

    def of(self, norm: _BatchNorm) -> Tensor:
        """Return where the norm leaves what it finds: mean and unbiased variance of each batch, (count, 2, C)."""
        if norm not in self._tables:
            assert norm.running_mean is not None
            self._tables[norm] = norm.running_mean.new_zeros(self._count, 2, norm.num_features)
        return self._tables[norm]

    @torch.no_grad()
    def follow(self, came: Tensor) -> None:
        """Move the running statistics, as if the norms had seen one batch after the other.

        r <- (1 - m) r + m s for each batch with moments s and momentum m is a weighted sum of r and all s.

        Args:
            came: (count,) bool, on the device of the networks: which batches there were.
        """
        weights: dict[float, tuple[Tensor, Tensor]] = {}
        number = came.sum()
        for norm, table in self._tables.items():
            assert norm.momentum is not None
            assert norm.running_mean is not None
            assert norm.running_var is not None
            assert norm.num_batches_tracked is not None
            if norm.momentum not in weights:
                weights[norm.momentum] = _weights(came.to(table.dtype), norm.momentum)
            kept, weight = weights[norm.momentum]
            added = torch.mv(table.flatten(1).t(), weight).view(2, -1)
            # Past autograd: PyTorch's norms save their running statistics, though no gradient in training reads them.
            norm.running_mean.data.mul_(kept).add_(added[0])
            norm.running_var.data.mul_(kept).add_(added[1])
            norm.num_batches_tracked.add_(number)


@dataclass(frozen=True)
class Apart:
    """Batches of one size, one behind the other in a tensor.

    Args:
        moments: of the network that they go through.
        places: of each batch in them.
    """

    moments: Moments
    places: tuple[int, ...]


def _weights(came: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Compute what remains of the running statistics, (), and the weight of each batch's moments, (count,)."""
    kept = 1 - momentum * came
    from_here = kept.flip(0).cumprod(0).flip(0)  # of a batch's own statistics and all before, kept to the end
    return from_here[0], momentum * came * from_here / kept
