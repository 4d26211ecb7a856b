import gc
import weakref

import torch

from tsvan.models.joint import Joint
from tsvan.models.tables import ARCHITECTURES


def test_the_gathered_weight_has_the_gradient_of_all_its_uses():
    torch.manual_seed(0)
    joint = Joint(6, ARCHITECTURES["tiny"]).double()
    contents = [torch.randn(3, 6, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    motions = [torch.randn(3, 4, 8, 8, dtype=torch.float64) for _ in range(4)]
    weight, results = joint.gathered(), []
    for content, motion in zip(contents, motions, strict=True):
        results.append([joint(motion, content), joint(motion, content, weight=weight)])
    wanted = [joint.linear.weight, joint.linear.bias, *joint.motion.parameters(), *contents]
    plain = sum((one**2).sum() for one, _ in results)
    ours = sum((other**2).sum() for _, other in results)
    torch.testing.assert_close(ours, plain)
    # A pass that does not ask for the weight, over half of the graph, leaves the next one right.
    torch.autograd.grad(results[0][1].sum() + results[2][1].sum(), contents[::2], retain_graph=True)
    for one, other in zip(torch.autograd.grad(plain, wanted), torch.autograd.grad(ours, wanted), strict=True):
        torch.testing.assert_close(one, other)


def test_a_use_without_a_gradient_counts_for_nothing():
    joint = Joint(6, ARCHITECTURES["tiny"])
    content, motion = torch.randn(2, 6), torch.randn(2, 4, 8, 8)
    weight = joint.gathered()
    used, _unused = joint(motion, content, weight=weight), joint(motion + 1, content, weight=weight)
    (ours,) = torch.autograd.grad(used.sum(), joint.linear.weight)
    (plain,) = torch.autograd.grad(joint(motion, content).sum(), joint.linear.weight)
    torch.testing.assert_close(ours, plain)


def test_a_graph_whose_weight_nobody_asks_for_is_freed():
    joint = Joint(6, ARCHITECTURES["tiny"])
    content, motion = torch.randn(2, 6, requires_grad=True), torch.randn(2, joint.motion_width)
    weight = joint.gathered()
    used = weight(content, motion)
    node = weakref.ref(used.grad_fn)
    again = weight(used[:, :6], motion)  # frames feed each other
    torch.autograd.grad(again.sum(), content)
    del used, again, weight
    gc.collect()
    assert node() is None
