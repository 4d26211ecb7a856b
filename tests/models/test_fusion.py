import importlib
import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from tsvan.models import fusion
from tsvan.models.fusion import adaptive_convolution, fuse
from tsvan.models.kernels import adaptive_torch
from tsvan.models.kernels.triton_runs import triton_runs


def naive(features, vertical, horizontal):
    """S(f) pixel by pixel, as its formula stands."""
    padded = F.pad(features, (2, 2, 2, 2), mode="replicate")
    result = torch.zeros_like(features)
    batch, channels, height, width = features.shape
    for b in range(batch):
        for c in range(channels):
            for y in range(height):
                for x in range(width):
                    result[b, c, y, x] = sum(
                        vertical[b, i, y, x] * horizontal[b, j, y, x] * padded[b, c, y + i, x + j]
                        for i in range(5)
                        for j in range(5)
                    )
    return result


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    return draw(2, 2, 4, 5), draw(2, 5, 4, 5), draw(2, 5, 4, 5)


def test_matches_the_formula_pixel_by_pixel(inputs):
    torch.testing.assert_close(adaptive_convolution(*inputs), naive(*inputs))


def test_gradient_is_that_of_the_formula(inputs):
    weights = torch.randn(2, 2, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours = torch.autograd.grad(adaptive_convolution(*inputs), inputs, weights)
    theirs = torch.autograd.grad(naive(*inputs), inputs, weights)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_gradcheck(inputs):
    assert torch.autograd.gradcheck(adaptive_convolution, inputs)


def test_kernels_of_a_single_tap_shift_the_map_and_replicate_the_border():
    features = torch.arange(12.0).view(1, 1, 3, 4)
    vertical, horizontal = torch.zeros(1, 5, 3, 4), torch.zeros(1, 5, 3, 4)
    vertical[:, 2], horizontal[:, 3] = 1, 1  # the same row, one pixel to the right
    shifted = adaptive_convolution(features, vertical, horizontal)
    assert shifted[0, 0].tolist() == [[1, 2, 3, 3], [5, 6, 7, 7], [9, 10, 11, 11]]


def test_the_mask_blends():
    features = torch.full((1, 1, 2, 2), 2.0)
    kernels = torch.zeros(1, 5, 2, 2)  # S(f) = 0
    mask = torch.tensor([[[[0.0, 0.25], [0.5, 1.0]]]])
    assert fuse(features, kernels, kernels, mask)[0, 0].tolist() == [[2.0, 1.5], [1.0, 0.0]]
    assert fuse(features, kernels, kernels, None)[0, 0].tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_bfloat16_input_gives_float32():
    half = torch.ones(1, 1, 4, 4, dtype=torch.bfloat16)
    kernels = torch.ones(1, 5, 4, 4, dtype=torch.bfloat16)
    assert adaptive_convolution(half, kernels, kernels).dtype == torch.float32


def tensors(batch, height, width, channels, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    shapes = [(channels,), (5,), (5,), ()]
    return [torch.randn(batch, height, width, *shape, generator=generator).to(device) for shape in shapes]


@pytest.mark.parametrize("shape", [(3, 9, 7, 3), (2, 16, 16, 128), (16, 64, 64, 3)])
@pytest.mark.parametrize(
    ("device", "kernels"),
    [("cpu", "kernels.adaptive_cpu"), pytest.param("cuda", "kernels.adaptive_cuda", marks=pytest.mark.cuda)],
)
def test_kernels_of_a_device_compute_what_pytorch_does(shape, device, kernels):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    theirs = importlib.import_module(f"tsvan.models.{kernels}")
    inputs = tensors(*shape, device)
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(device)
    torch.testing.assert_close(theirs.forward(*inputs), adaptive_torch.forward(*inputs), rtol=1e-4, atol=1e-4)
    expected = adaptive_torch.backward(gradient, *inputs)
    for one, other in zip(theirs.backward(gradient, *inputs), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


@pytest.fixture
def triton(monkeypatch):
    """In place of the Triton kernels, with a device of ours: what a launch does."""
    launch = SimpleNamespace(forward=lambda *inputs: None)
    monkeypatch.setitem(sys.modules, "tsvan.models.kernels.adaptive_cuda", launch)
    monkeypatch.setattr("tsvan.models.kernels.adaptive_cuda", launch, raising=False)
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: zeros(*shape))
    caches = fusion._kernels_of, triton_runs
    for cached in caches:
        cached.cache_clear()
    yield launch
    for cached in caches:
        cached.cache_clear()


def test_triton_that_runs_is_used(triton, caplog):
    assert fusion._kernels_of("cuda") is triton
    assert caplog.records == []


def test_without_a_c_compiler_pytorch_fuses_and_a_line_says_so_once(triton, caplog):
    def fail(*inputs):
        raise RuntimeError("Failed to find C compiler.\nPlease specify via CC environment variable.")

    triton.forward = fail
    assert [fusion._kernels_of("cuda") for _ in range(2)] == [adaptive_torch] * 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("training goes on without Triton, more slowly: Failed to find C compiler.; it needs")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(), RuntimeError("Triton Error [CUDA]: out of memory")])
def test_memory_that_runs_out_is_not_taken_for_a_missing_compiler(triton, error):
    def fail(*inputs):
        raise error

    triton.forward = fail
    with pytest.raises(type(error)):
        fusion._kernels_of("cuda")


def test_kernels_of_another_size(inputs):
    features, vertical, horizontal = inputs
    small = vertical[:, 1:4], horizontal[:, 1:4]
    wide = F.pad(small[0], (0, 0, 0, 0, 1, 1)), F.pad(small[1], (0, 0, 0, 0, 1, 1))
    torch.testing.assert_close(adaptive_convolution(features, *small), naive(features, *wide))


def test_gradient_of_the_mask(inputs):
    mask = torch.rand(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(fuse, (*inputs, mask))
