"""Batches side by side whose norms look at each alone."""

import copy

import pytest
import torch
from torch import nn

from tsvan.models import norms
from tsvan.models.stack import Stack
from tsvan.models.statistics import Apart, Moments


def layers(momentum=0.1):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(4, momentum=momentum)
    nn.init.uniform_(norm.weight, -1.0, 1.0)
    nn.init.normal_(norm.bias)
    return Stack(nn.Conv2d(3, 4, 3), norm, nn.ReLU(), nn.Conv2d(4, 2, 3)).double()


def batches(count):
    return [torch.randn(2, 3, 8, 8, dtype=torch.float64) * (i + 1) + i for i in range(count)]


@pytest.mark.parametrize("kind", ["fused", "PyTorch's"])
def test_batches_side_by_side_are_batches_one_by_one(kind, monkeypatch):
    if kind == "PyTorch's":
        monkeypatch.setattr(norms, "fusable", lambda norm, inputs: False)
    side, one = layers(), layers()
    given = batches(4)
    moments = Moments(5)
    results = []
    for first, second, places in ((0, 2, (0, 3)), (1, 3, (1, 4))):
        results.append(side(torch.cat([given[first], given[second]]), apart=Apart(moments, places)))
    together = [part for result in results for part in result.chunk(2)]
    assert torch.equal(side[1].running_mean, layers()[1].running_mean)  # until the batches are followed
    moments.follow(torch.tensor([True, True, False, True, True]))
    apart = [one(given[index]) for index in range(4)]
    for index, result in zip((0, 2, 1, 3), together, strict=True):
        torch.testing.assert_close(result, apart[index])
    for name, expected in one.named_buffers():
        torch.testing.assert_close(dict(side.named_buffers())[name], expected)
    weights = [torch.randn_like(result) for result in together]
    ours = torch.autograd.grad(together, list(side.parameters()), weights)
    theirs = torch.autograd.grad([apart[i] for i in (0, 2, 1, 3)], list(one.parameters()), weights)
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_running_statistics_are_followed_in_the_order_of_the_places_and_only_by_batches_that_came():
    norm = nn.BatchNorm1d(1, momentum=0.5)
    moments = Moments(3)
    moments.of(norm)[:, 0, 0] = torch.tensor([2.0, 100.0, 6.0])
    moments.of(norm)[:, 1, 0] = torch.tensor([1.0, 100.0, 3.0])
    moments.follow(torch.tensor([True, False, True]))
    assert norm.running_mean.item() == pytest.approx((0 * 0.5 + 2 * 0.5) * 0.5 + 6 * 0.5)
    assert norm.running_var.item() == pytest.approx((1 * 0.5 + 1 * 0.5) * 0.5 + 3 * 0.5)
    assert norm.num_batches_tracked.item() == 2


def test_in_evaluation_there_is_nothing_to_look_at():
    model, inputs = layers().eval(), torch.cat(batches(2))
    moments = Moments(2)
    torch.testing.assert_close(model(inputs, apart=Apart(moments, (0, 1))), copy.deepcopy(model)(inputs))
