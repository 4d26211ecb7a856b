import copy

import pytest
import torch
from torch import nn

from tsvan.models.stack import Stack


def layers(norm, slope):
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 16, 3) if norm is nn.BatchNorm2d else nn.Conv3d(3, 16, 3)
    activation = nn.LeakyReLU(slope) if slope else nn.ReLU()
    stack = [conv, norm(16), activation, copy.deepcopy(activation)]
    nn.init.uniform_(stack[1].weight, -1.0, 1.0)  # a negative weight turns the order of values round
    nn.init.normal_(stack[1].bias)
    return stack


@pytest.mark.parametrize(("norm", "slope"), [(nn.BatchNorm2d, 0.0), (nn.BatchNorm3d, 0.2)])
@pytest.mark.parametrize("threads", [1, 3])
def test_a_stack_is_its_layers_one_after_another(norm, slope, threads):
    plain = nn.Sequential(*layers(norm, slope)).double()
    stack = Stack(*copy.deepcopy(list(plain)))
    size = (7, 20, 33) if norm is nn.BatchNorm3d else (40, 43)
    inputs = torch.randn(3, 3, *size, dtype=torch.float64)
    weights = torch.randn_like(plain(inputs))
    plain[1].reset_running_stats()
    results = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for model in (plain, stack):
            given = inputs.clone().requires_grad_()
            output = model(given)
            gradients = torch.autograd.grad((output * weights).sum(), [given, *model.parameters()])
            results.append([output, *gradients, *model.buffers()])
    finally:
        torch.set_num_threads(before)
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_evaluation_uses_running_statistics():
    plain = nn.Sequential(*layers(nn.BatchNorm2d, 0.0))
    plain(torch.randn(4, 3, 8, 8))
    stack = Stack(*plain).eval()
    inputs = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(stack(inputs), plain.eval()(inputs))


def test_inputs_of_a_leading_activation_stay_as_they_are():
    inputs = torch.tensor([-1.0, 2.0])
    assert Stack(nn.ReLU())(inputs).tolist() == [0.0, 2.0]
    assert inputs.tolist() == [-1.0, 2.0]


def test_layers_can_be_left_out():
    conv, norm, activation, _ = layers(nn.BatchNorm2d, 0.0)
    stack, inputs = Stack(conv, norm, activation), torch.randn(4, 16, 6, 6)
    expected = torch.relu(copy.deepcopy(norm)(inputs))
    torch.testing.assert_close(stack(inputs, first=1), expected)


def test_statistics_of_a_large_channels_last_batch_are_exact_to_float32():
    torch.manual_seed(0)
    inputs = (torch.randn(64, 4, 64, 64) + 3).contiguous(memory_format=torch.channels_last)
    norm = nn.BatchNorm2d(4, momentum=1.0)
    Stack(norm, nn.ReLU())(inputs)
    torch.testing.assert_close(norm.running_mean.double(), inputs.double().mean((0, 2, 3)), rtol=2e-7, atol=0)
    torch.testing.assert_close(norm.running_var.double(), inputs.double().var((0, 2, 3)), rtol=1e-6, atol=0)


def test_bfloat16_stays_bfloat16():
    stack = Stack(*layers(nn.BatchNorm2d, 0.0))
    with torch.autocast("cpu", torch.bfloat16):
        output = stack(torch.randn(4, 3, 8, 8))
    assert output.dtype == torch.bfloat16
    assert output.min() == 0


def test_what_a_norm_gives_is_not_kept_but_computed_again():
    conv, norm, activation, _ = layers(nn.BatchNorm2d, 0.0)
    behind = nn.Conv2d(16, 4, 3)
    inputs, kept = torch.randn(2, 3, 12, 12), []

    def keep(tensor):
        kept.append(tensor.data_ptr())
        return tensor

    seen = []
    stack = Stack(conv, norm, activation, behind)
    behind.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = stack(inputs)
    assert seen[0].data_ptr() not in kept
    plain = nn.Sequential(*copy.deepcopy([conv, norm, activation, behind]))
    ours = torch.autograd.grad(output.sum(), list(stack.parameters()))
    theirs = torch.autograd.grad(plain(inputs).sum(), list(plain.parameters()))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
