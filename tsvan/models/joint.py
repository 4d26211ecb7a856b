"""The joint layers of content and motion (table 2): the outer product is the largest linear layer of the model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from tsvan.models.layout import as_map
from tsvan.models.precision import compute_dtype
from tsvan.models.tables import MAP_SIZE, Architecture


class Joint(nn.Module):
    """The joint layers of content and motion: a linear layer on their outer product.

    vec(content_hidden x m) -> FC -> map, with m = FC(LSTM output); index = content * width of m + motion.

    A content that several motions go with is contracted with the layer's weights once (`contract`). For a content with
    one motion the outer product is formed; `gathered` then takes the weights' gradient over all of a step's products at
    once.
    """

    def __init__(self, content_hidden: int, table: Architecture) -> None:
        super().__init__()
        self.shape = (table.map_channels, MAP_SIZE, MAP_SIZE)
        self.motion_width = table.joint_motion
        size = table.map_channels * MAP_SIZE**2
        self.motion = nn.Sequential(nn.Linear(size, table.joint_motion), nn.ReLU())
        self.linear = nn.Linear(content_hidden * table.joint_motion, size)

    def contract(self, content_hidden: Tensor) -> Tensor:
        """Contract the layer's weights with content_hidden (B, H) -> (outputs, B, width of m)."""
        weight = self.linear.weight.view(self.linear.out_features, -1, self.motion_width)  # (outputs, H, width of m)
        return torch.bmm(content_hidden.expand(len(weight), -1, -1), weight)

    def gathered(self) -> GatheredWeight:
        """Return the layer's weight for all own contents of one step."""
        return GatheredWeight(self.linear.weight)

    def forward(
        self,
        motion_map: Tensor,
        content_hidden: Tensor,
        contracted: Tensor | None = None,
        weight: GatheredWeight | None = None,
    ) -> Tensor:
        """Map the LSTM's output (B, C, 8, 8) and the content to (B, C, 8, 8).

        Args:
            motion_map: the LSTM's output.
            content_hidden: (B, H).
            contracted: `contract` of contents that are shared, (outputs, B / n, width of m): `motion_map` holds n
                batches of motions, each with these contents.
            weight: `gathered()`, where a step has several own contents.
        """
        motion = self.motion(motion_map.flatten(1))  # (B, width of m)
        if contracted is not None:
            batches = motion.to(contracted.dtype).unflatten(0, (-1, contracted.shape[1]))  # (n, B / n, width of m)
            mixed = torch.bmm(contracted.transpose(0, 1), batches.permute(1, 2, 0)).permute(2, 0, 1).flatten(0, 1)
        elif weight is not None:
            mixed = weight(content_hidden, motion)
        else:
            mixed = _products(content_hidden, motion) @ self.linear.weight.t()
        return as_map(torch.relu(mixed + self.linear.bias), self.shape)


class GatheredWeight:
    """A weight (outputs, H * M) applied to outer products many times in one graph.

    Each use leaves its factors here on the way back; when all have, one product over all of them is the weight's
    gradient. Otherwise each use would write and add up a gradient as large as the weight. A pass that does not ask for
    the weight may come before the one that does, which must reach every use that the former reached.
    """

    def __init__(self, weight: Tensor) -> None:
        self._uses: list[tuple[Tensor, Tensor, Tensor] | None] = []
        self._weight = weight.detach().to(compute_dtype(weight))
        self._token: Tensor = _Gather.apply(weight, self._uses)

    def __call__(self, content: Tensor, motion: Tensor) -> Tensor:
        """Apply the weight to content (B, H) and motion (B, M) -> (B, outputs)."""
        dtype = self._weight.dtype
        return _Use.apply(content.to(dtype), motion.to(dtype), self._token, self._weight, self._uses)


class _Gather(torch.autograd.Function):
    """A token that stands for a weight in the graph: its backward runs after that of every use."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, uses: list[Any]) -> Tensor:
        ctx.uses, ctx.dtype = uses, weight.dtype
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        left = [use for use in ctx.uses if use is not None]
        ctx.uses[:] = [None] * len(ctx.uses)
        arriving, contents, motions = (torch.cat(parts) for parts in zip(*left, strict=True))
        return (arriving.t() @ _products(contents, motions)).to(ctx.dtype), None


class _Use(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, content: Tensor, motion: Tensor, token: Tensor, weight: Tensor, uses: list[Any]
    ) -> Tensor:
        ctx.save_for_backward(content, motion, weight)
        ctx.uses, ctx.place = uses, len(uses)
        uses.append(None)
        return _products(content, motion) @ weight.t()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        content, motion, weight = ctx.saved_tensors
        gradient = gradients[0].to(weight.dtype)
        # Detached: a factor's graph leads to earlier uses, and so back to this list; that would never be freed in a
        # step whose weight nobody asks for. A later pass over the same graph takes this one's place.
        ctx.uses[ctx.place] = (gradient, content.detach(), motion.detach())
        to_products = (gradient @ weight).view(len(content), -1, motion.shape[1])  # (B, H, M)
        to_content = torch.bmm(to_products, motion[:, :, None])[:, :, 0]
        to_motion = torch.bmm(content[:, None], to_products)[:, 0]
        return to_content, to_motion, gradient.new_zeros(()), None, None


def _products(content: Tensor, motion: Tensor) -> Tensor:
    """Compute outer products (B, H * M) of content (B, H) and motion (B, M)."""
    return (content[:, :, None] * motion.to(content.dtype)[:, None]).flatten(1)
