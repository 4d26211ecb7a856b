"""What a training step hands to the optimisers and to the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor

Gradients = dict[str, Sequence[Tensor | None]]
"""Owner of weights -> a gradient for each of its parameters, in their order; None: not part of this step."""


@dataclass(frozen=True)
class StepResult:
    """What a step computed: gradients of the owners that are to be updated, and the values to log."""

    gradients: Gradients
    values: dict[str, Tensor | float]
    gates: dict[str, Tensor] = field(default_factory=dict)
    """Owners whose update only the device knows to take (True) or to skip, ()."""


Step = Callable[..., StepResult]
"""Called as step(clips, labels, draws, **scalars)."""
