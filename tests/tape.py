"""A tape of PyTorch's operations that stands in for CUDA's captures, without a GPU.

As with CUDA a capture does not happen, and a replay reads and writes the same memory, operation by operation; what the
host computed in between is not computed again.
"""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tsvan.graphs import Graphs
from tsvan.optimisers import make_capturable

CPU = torch.device("cpu")
FORBIDDEN = ("_local_scalar_dense", "nonzero", "randn", "normal_", "rand")
"""The host would wait, or the same numbers would be drawn for ever."""


class Tape(TorchDispatchMode):
    """In place of `torch.cuda.CUDAGraph`."""

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        assert operation.overloadpacket.__name__ not in FORBIDDEN
        result = operation(*args, **kwargs)
        inputs = {tensor.untyped_storage().data_ptr() for tensor in tensors((args, kwargs))}
        made = [tensor.untyped_storage().data_ptr() not in inputs for tensor in tensors(result)]
        self.operations.append((operation, args, kwargs, result, made))
        return result

    def replay(self):
        with torch.no_grad():
            for operation, args, kwargs, result, made in self.operations:
                again = operation(*args, **kwargs)
                for old, new, is_made in zip(tensors(result), tensors(again), made, strict=True):
                    if is_made:
                        old.copy_(new)

    def pool(self):
        return None


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def with_graphs(trainer, monkeypatch):
    """What a trainer on CUDA does at its start; a capture leaves weights and optimisers as they were."""
    for optimiser in trainer.optimisers.values():
        make_capturable(optimiser)
    states = [state for optimiser in trainer.optimisers.values() for state in optimiser.state.values()]
    lasting = [*trainer.networks.state_dict().values(), *(value for state in states for value in state.values())]

    @contextmanager
    def capture(tape, pool, stream):
        before = [tensor.clone() for tensor in lasting]
        with tape:
            yield
        for tensor, value in zip(lasting, before, strict=True):
            tensor.data.copy_(value)

    monkeypatch.setattr(torch.cuda, "graph", capture)
    trainer._graphs = Graphs(trainer.networks, CPU, trainer._update)
