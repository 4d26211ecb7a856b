"""The Triton kernels in Triton's interpreter, which needs no GPU. It is chosen before Triton is imported, and so in a
process of its own: `TRITON_INTERPRET=1 python -m tests.models.kernels.test_adaptive_cuda`."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]
SHAPES = {
    "more pixels than a program takes, no power of two": (3, 9, 7, 3),
    "a single pixel": (1, 1, 1, 4),
    "both borders in every kernel": (1, 2, 3, 3),
    "a single column": (2, 3, 1, 16),
    "more channels than a program takes": (1, 3, 4, 130),
}


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed; it is on Linux only")
def test_triton_kernels_compute_what_pytorch_does():
    command = [sys.executable, "-m", "tests.models.kernels.test_adaptive_cuda"]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == list(SHAPES)


def compare(shape):
    """Values and all gradients, with PyTorch's."""
    from tsvan.models.kernels import adaptive_cuda, adaptive_torch

    generator = torch.Generator().manual_seed(0)
    *pixels, channels = shape
    features, vertical, horizontal, gradient = (
        torch.randn(*pixels, size, generator=generator) for size in (channels, 5, 5, channels)
    )
    inputs = features, vertical, horizontal, torch.rand(*pixels, generator=generator)
    torch.testing.assert_close(adaptive_cuda.forward(*inputs), adaptive_torch.forward(*inputs), rtol=1e-4, atol=1e-4)
    theirs = adaptive_torch.backward(gradient, *inputs)
    for one, other in zip(adaptive_cuda.backward(gradient, *inputs), theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    for name, shape in SHAPES.items():
        compare(shape)
        print(name)
