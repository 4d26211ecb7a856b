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


@pytest.mark.parametrize(("chosen", "gain", "warned"), [("bf16", 0.5, 1), ("bf16", 2.0, 0), ("fp32", 0.5, 0)])
def test_bfloat16_that_does_not_pay_is_warned_of(chosen, gain, warned, monkeypatch):
    monkeypatch.setattr(precision, "bfloat16_gain", lambda: gain)
    assert ("0.50 of float32's speed" in precision.slow_bfloat16(chosen)) == warned
