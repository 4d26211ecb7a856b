import pytest
import torch
from torch import nn

from tsvan.models.kernels import conv3d
from tsvan.models.kernels.conv3d import Conv3d

SHAPES = {  # of a layer's weights, with its stride and padding, and of clips that they outweigh
    "D_V, layer 4": (nn.Conv3d(8, 16, 4, (1, 2, 2), 1, bias=False), (1, 8, 3, 4, 4)),
    "all strides differ": (nn.Conv3d(4, 12, (3, 2, 4), (2, 1, 3), (1, 0, 2), bias=False), (2, 4, 3, 3, 2)),
    "one window": (nn.Conv3d(5, 7, 3, 1, 0, bias=False), (1, 5, 3, 3, 3)),
}


@pytest.fixture(params=SHAPES)
def layers(request):
    """PyTorch's convolution, ours with the same weights, and clips."""
    plain, shape = SHAPES[request.param]
    plain = plain.double()
    ours = Conv3d(plain.in_channels, plain.out_channels, plain.kernel_size, plain.stride, plain.padding, bias=False)
    ours.double().load_state_dict(plain.state_dict())
    clips = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert ours.weight.numel() > 2 * clips.numel()
    return plain, ours, clips


def test_the_product_is_the_convolution_with_both_gradients(layers):
    plain, ours, clips = layers
    expected, result = plain(clips), ours(clips)
    torch.testing.assert_close(result, expected)
    arriving = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, [clips, plain.weight], arriving)
    torch.testing.assert_close(torch.autograd.grad(result, [clips, ours.weight], arriving), wanted)


def test_only_the_gradient_that_is_asked_for_is_computed(layers, monkeypatch):
    _, ours, clips = layers
    products = []
    for name, function in (("clips", conv3d._OfClips), ("weight", conv3d._OfWeights)):
        backward = function.backward
        monkeypatch.setattr(
            function, "backward", lambda *args, n=name, b=backward: products.append(n) or b(*args)
        )
    result = ours(clips)
    torch.autograd.grad(result.sum(), clips, retain_graph=True)
    assert products == ["clips"]
    torch.autograd.grad(result.sum(), ours.weight)
    assert products == ["clips", "weight"]


def test_bfloat16_gives_float32_gradients_of_float32_weights(layers):
    plain, ours, clips = layers
    ours.float()
    with torch.autocast("cpu", torch.bfloat16):
        result = ours(clips.float())
        assert result.dtype == torch.bfloat16
        (gradient,) = torch.autograd.grad(result.float().square().sum(), ours.weight)
    assert gradient.dtype == torch.float32
    (exact,) = torch.autograd.grad(plain(clips).square().sum(), plain.weight)
    assert (gradient - exact).norm() < 0.02 * exact.norm()
