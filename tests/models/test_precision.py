import pytest
import torch

from tsvan.models import precision


def test_the_gain_of_bfloat16_is_that_of_larger_products():
    def seconds(dtype):
        a, times = torch.ones(1024, 1024, dtype=dtype), []
        for _ in range(5):
            start = precision.time.perf_counter()
            a @ a
            times.append(precision.time.perf_counter() - start)
        return min(times)

    slower = seconds(torch.float32) / seconds(torch.bfloat16)
    assert 0.3 < precision.bfloat16_gain() / slower < 3


@pytest.mark.parametrize(
    ("chosen", "device", "gain", "warned"),
    [
        ("bf16", "cpu", 0.5, True),
        ("bf16", "cpu", 2.0, False),
        ("fp32", "cpu", 0.5, False),
        ("bf16", "cuda", 0.5, False),
    ],
)
def test_bfloat16_that_does_not_pay_is_warned_of(chosen, device, gain, warned, monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_gain", lambda: gain)
    warning = precision.slow_bfloat16(chosen, torch.device(device))
    assert ("0.50 of float32's speed" in warning) == warned
