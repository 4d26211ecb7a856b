from collections import Counter
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tsvan import sampling, twostreamvan
from tsvan.models.networks import difference
from tsvan.roll_out import latents, roll_out
from tsvan.sampling import generate


def test_latents_belong_to_their_seed_whatever_the_batch():
    seeds = np.array([5, 9, 5])
    content, motion = latents(seeds, content_dim=8, motion_dim=4, steps=11)
    assert content.shape == (3, 8)
    assert motion.shape == (3, 11, 4)
    assert torch.equal(content[0], content[2])
    assert not torch.equal(content[0], content[1])
    alone = latents(seeds[1:2], 8, 4, 11)
    assert torch.equal(alone[0][0], content[1])
    assert torch.equal(alone[1][0], motion[1])


def test_latents_are_standard_normal():
    content, motion = latents(np.arange(200), 512, 64, 11)
    for drawn in (content, motion):
        assert abs(drawn.mean()) < 0.01
        assert abs(drawn.std() - 1) < 0.01


def test_clips_do_not_depend_on_the_batch_size(tiny_networks):
    seeds, labels = np.arange(3), np.array([0, 1, 2])
    tiny_networks.train()
    whole = torch.cat(list(generate(tiny_networks, seeds, labels, batch_size=3)))
    parts = torch.cat(list(generate(tiny_networks, seeds, labels, batch_size=2)))
    assert whole.shape == (3, 3, 10, 64, 64)
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-4)
    assert tiny_networks.training
    assert whole.abs().max() <= 1


def test_the_first_two_frames_are_heat_up(tiny_networks):
    tiny_networks.eval()
    z_c, z_m = latents(np.array([4]), 8, 4, 11)
    onehot = tiny_networks.one_hot(torch.tensor([1]))
    with torch.inference_mode():
        frames = roll_out(tiny_networks, z_c, z_m, onehot)
    assert frames.shape == (1, 3, 12, 64, 64)
    (clip,) = generate(tiny_networks, np.array([4]), np.array([1]))
    torch.testing.assert_close(clip, frames[:, :, 2:].clamp(-1, 1))
    torch.testing.assert_close(frames[:, :, 0], tiny_networks.content_decoder(z_c, onehot))


def test_differences_are_halved():
    assert difference(torch.tensor([1.0]), torch.tensor([-1.0])).item() == 1.0


OUT_OF_MEMORY = [torch.OutOfMemoryError(), RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling x")]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["PyTorch", "cuBLAS"])
def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_lost(tiny_networks, monkeypatch, error):
    seeds, labels = np.arange(5), np.array([0, 1, 2, 0, 1])
    whole = torch.cat(list(generate(tiny_networks, seeds, labels)))
    sizes = []

    def narrow(networks, z_c, *args):
        sizes.append(len(z_c))
        if len(z_c) > 2:
            raise error
        return roll_out(networks, z_c, *args)

    monkeypatch.setattr(twostreamvan, "roll_out", narrow)
    monkeypatch.setattr(sampling, "fitting_batch", lambda *_: 5)
    torch.testing.assert_close(torch.cat(list(generate(tiny_networks, seeds, labels))), whole, rtol=1e-4, atol=1e-4)
    assert sizes == [5, 2, 2, 1]
    with pytest.raises(type(error)):
        list(generate(tiny_networks, seeds, labels, batch_size=3))


def test_little_free_memory_makes_small_batches(tiny_networks, monkeypatch):
    cpu = torch.device("cpu")

    def fitting(mib, share=1.0):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=mib * 2**20))
        return sampling.fitting_batch(tiny_networks, cpu, share)

    assert fitting(100_000) == sampling.CPU_BATCH
    assert fitting(0) == 1
    assert 2 <= fitting(100, 0.5) <= fitting(100) / 2 + 1 < sampling.CPU_BATCH


def test_on_a_gpu_the_batch_is_bounded_by_free_memory_and_by_the_share(tiny_networks, monkeypatch):
    gib = 2**30
    state = {"free": 100 * gib, "cached": 0, "pools": 0}

    def empty_cache():
        state["free"], state["cached"] = state["free"] + state["cached"], 0

    monkeypatch.setattr(torch.cuda, "empty_cache", empty_cache)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (state["free"], 140 * gib))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: state["cached"] + state["pools"])

    def fitting(share=1.0, **changes):
        state.update(changes)
        return sampling.fitting_batch(tiny_networks, torch.device("cuda"), share)

    assert fitting() == sampling.CUDA_BATCH
    half = fitting(free=2 * gib)
    assert 2 <= half < sampling.CUDA_BATCH
    assert fitting(cached=2 * gib) == pytest.approx(2 * half, abs=1)
    assert fitting(share=1 / 140, pools=0) == pytest.approx(half / 2, abs=1)
    assert fitting(share=3 / 140, pools=2 * gib) == pytest.approx(half / 2, abs=1)  # graphs' memory is nobody else's
    assert fitting(share=1 / 140, pools=2 * gib) == 1


def test_in_bf16_no_weight_is_converted_twice(tiny_networks):
    class Conversions(TorchDispatchMode):
        seen: Counter[int] = Counter()

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            if func.overloadpacket in (torch.ops.aten.to, torch.ops.aten._to_copy) and result.dtype == torch.bfloat16:
                storage = args[0].untyped_storage().data_ptr()
                if storage in weights:
                    self.seen[storage] += 1
            return result

    weights = {weight.untyped_storage().data_ptr() for weight in tiny_networks.parameters()}
    with Conversions() as conversions:
        list(generate(tiny_networks, np.arange(2), np.array([0, 1]), precision="bf16"))
    assert set(conversions.seen.values()) == {1}
