"""What a GPU would launch for a step, counted without one on the tape of its operations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tsvan import adversarial, lockstep
from tsvan.models import fusion, norms
from tsvan.models.kernels import adaptive_torch
from tsvan.models.kernels.conv3d import Conv3d


class Launches(TorchDispatchMode):
    """Counts operations that compute something: no views, no allocations; of a convolution's backward each gradient.

    How many kernels a library takes for one of them, such as turning a layout, is not known here.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count, self._elsewhere = 0, False

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        name = operation.overloadpacket.__name__
        given = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
        made = [tensor for tensor in _tensors(result) if tensor.untyped_storage().data_ptr() not in given]
        if self._elsewhere or name.startswith("empty") or not (made or operation._schema.is_mutable):
            return result
        self.count += len(made) if name == "convolution_backward" else 1
        return result

    def as_on_a_gpu(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Take the ways that a step takes there.

        The adaptive convolution launches one kernel and its backward two; a norm with its activation two and two.
        """

        def launched(kernels: int, function: Any) -> Any:
            def run(*inputs: Tensor) -> Any:
                self.count += kernels
                self._elsewhere = True
                try:
                    return function(*inputs)
                finally:
                    self._elsewhere = False

            return run

        kernels = SimpleNamespace(
            forward=launched(1, adaptive_torch.forward), backward=launched(2, adaptive_torch.backward)
        )
        monkeypatch.setattr(lockstep, "side_by_side", lambda tensor: True)
        monkeypatch.setattr(adversarial, "decided_by_device", lambda tensor: True)
        fused = SimpleNamespace(
            forward=launched(2, _norm), backward=launched(2, _norm_back), Statistics=lambda *noted: None
        )
        monkeypatch.setattr(norms, "fusable", lambda norm, inputs: norm.training)
        monkeypatch.setattr(norms, "_on_a_cpu", norms._on_cuda)
        monkeypatch.setattr(norms, "_cuda_kernels", lambda: fused)
        monkeypatch.setattr(fusion, "_arithmetic", lambda features, vertical: kernels)
        monkeypatch.setattr(Conv3d, "_conv_forward", nn.Conv3d._conv_forward)


def _norm(
    rows: Tensor, weight: Tensor, bias: Tensor, eps: float, slope: float, noted: None
) -> tuple[Tensor, Tensor]:
    return rows.clone(), rows[:, :2].clone()


def _norm_back(gradient: Tensor, rows: Tensor, *others: Any) -> tuple[Tensor, Tensor, Tensor]:
    return gradient.clone(), rows[0, 0].clone(), rows[0, 0].clone()


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
