"""An optimiser for each owner of weights: fused Adam, on a GPU as a part of captured graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Adam

from tsvan.models.layout import laid_out_as
from tsvan.run_config import OptimiserConfig
from tsvan.step_result import StepResult

Optimisers = dict[str, Adam]
"""Owner of weights -> its optimiser."""


def optimisers_of(networks: nn.Module, owners: Sequence[str], settings: OptimiserConfig) -> Optimisers:
    """Make the optimisers of networks that are on their device already.

    Args:
        owners: the attributes of the networks that own weights.
    """
    return {
        owner: Adam(
            getattr(networks, owner).parameters(),
            lr=settings.lr,
            betas=(settings.beta1, settings.beta2),
            eps=settings.eps,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        for owner in owners
    }


def update(networks: nn.Module, optimisers: Optimisers, result: StepResult) -> None:
    """Take the gradients of a step into the weights."""
    for owner, gradients in result.gradients.items():
        optimiser = optimisers[owner]
        for parameter, gradient in zip(getattr(networks, owner).parameters(), gradients, strict=True):
            # Fused Adam reads a gradient whose strides are not its weight's in the wrong order, without a word.
            parameter.grad = None if gradient is None else laid_out_as(parameter, gradient)
        # What fused Adam does for a scaler that found an overflow: on the device, all of this step is left out.
        optimiser.found_inf = (~result.gates[owner]).float() if owner in result.gates else None  # type: ignore[attr-defined]
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)


def restore(optimiser: Adam, state: dict[str, Any]) -> None:
    """Load a state, saved on any device, and where weights may have lain in another order in memory."""
    optimiser.load_state_dict(state)
    for group in optimiser.param_groups:
        group["capturable"] = False
    for parameter, values in optimiser.state.items():
        for name, value in values.items():
            if value.shape == parameter.shape:
                values[name] = laid_out_as(parameter, value)


def make_capturable(optimiser: Adam) -> None:
    """Let a graph contain its steps: what they keep exists then, and their kernels are loaded.

    What a capture makes, each replay would make anew.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    optimiser.found_inf = torch.ones((), device=parameters[0].device)  # type: ignore[attr-defined]
    optimiser.step()  # makes its state, and is left out
    optimiser.zero_grad(set_to_none=True)
    for group in optimiser.param_groups:
        group["capturable"] = True
