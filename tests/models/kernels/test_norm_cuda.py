"""The norm's Triton kernels: in Triton's interpreter, which needs no GPU (`TRITON_INTERPRET=1 python -m
tests.models.kernels.test_norm_cuda`, chosen before Triton is imported), and on a GPU where there is one."""

import copy
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tsvan.models import norms
from tsvan.models.stack import Stack
from tsvan.models.statistics import Apart, Moments

ROOT = Path(__file__).resolve().parents[3]
NEAR = 1e-3
SHAPES = {
    "few values, channels no power of two": (2, 5, 2, 3),
    "rows of many parts": (4, 3, 64, 40),
    "more channels than a tile takes": (2, 130, 7, 9),
    "clips": (4, 16, 5, 8, 8),
}


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed; it is on Linux only")
def test_the_kernels_in_the_interpreter_compute_what_pytorch_does():
    command = [sys.executable, "-m", "tests.models.kernels.test_norm_cuda"]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == list(SHAPES)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [*SHAPES.values(), (32, 16, 64, 64), (16, 64, 10, 32, 32)])
def test_the_kernels_on_a_gpu_compute_what_pytorch_does(shape, dtype):
    compare(shape, dtype, "cuda")


def compare(shape, dtype, device):
    """Values, gradients and statistics of one batch and of two apart, beside PyTorch's layers in float64."""
    torch.manual_seed(0)
    channels = shape[1]
    for slope, places in ((0.0, None), (0.2, (1, 3))):
        batches = 1 if places is None else len(places)
        norm = (nn.BatchNorm3d if len(shape) == 5 else nn.BatchNorm2d)(channels)
        nn.init.uniform_(norm.weight, -1.0, 1.0)
        nn.init.normal_(norm.bias)
        activation = nn.LeakyReLU(slope) if slope else nn.ReLU()
        plain = nn.Sequential(copy.deepcopy(norm), activation).double().to(device)
        stack = Stack(norm, activation).to(device)
        last = torch.channels_last_3d if len(shape) == 5 else torch.channels_last
        inputs = (torch.randn(shape) * 3 + 40).to(device, dtype).contiguous(memory_format=last).requires_grad_()
        weights = torch.randn(shape).to(device, dtype)
        for part, weight in zip(inputs.detach().double().chunk(batches), weights.chunk(batches), strict=True):
            before = F.batch_norm(part, None, None, plain[0].weight, plain[0].bias, True)
            weight[before.abs() < NEAR] = 0  # a last digit decides on which side of the bend these lie
        moments = Moments(4)
        result = stack(inputs, apart=None if places is None else Apart(moments, places))
        again = inputs.detach().double().requires_grad_()
        expected = torch.cat([plain(part) for part in again.chunk(batches)])
        if places is not None:
            moments.follow(torch.tensor([False, True, False, True], device=device))
        bound = {"rtol": 2e-4, "atol": 2e-4} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
        torch.testing.assert_close(result.double(), expected, **bound)
        ours = torch.autograd.grad(result, [inputs, norm.weight, norm.bias], weights)
        theirs = torch.autograd.grad(expected, [again, *plain.parameters()], weights.double())
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one.double() / other.abs().max(), other / other.abs().max(), **bound)
        for one, other in zip(stack.buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(one.double(), other.double(), rtol=1e-4, atol=1e-4)


if __name__ == "__main__":
    norms._on_a_cpu = norms._on_cuda
    for name, shape in SHAPES.items():
        compare(shape, torch.float32, "cpu")
        print(name)
