"""bfloat16 stays inside the networks: frames, features that are compared, and losses are float32 or wider."""

from __future__ import annotations

import time

import torch
from torch import Tensor


def full(tensor: Tensor) -> Tensor:
    """Convert the tensor to float32; float64 stays as it is."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def compute_dtype(tensor: Tensor) -> torch.dtype:
    """Return what matrix products compute in here: autocast's type where it is on, else the tensor's own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def choose_quickest_on_cuda() -> None:
    """Let CUDA's float32 products take TF32, as cuDNN's convolutions do, and cuDNN try its algorithms out.

    It tries some at the first call with each shape and keeps the quickest; its own guess is often far from that where
    channels are few. Which one wins may change from run to run, and with it the last digits of a sum.
    """
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True


def bfloat16_gain() -> float:
    """Measure how many times as fast as float32 this processor multiplies bfloat16, which takes milliseconds.

    Instructions for it are no promise: without AMX some processors take twice as long for them.
    """
    times: dict[torch.dtype, float] = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(512, 512, dtype=dtype)
        for _ in range(6):
            start = time.perf_counter()
            matrix @ matrix
            times[dtype] = min(times.get(dtype, float("inf")), time.perf_counter() - start)
    return times[torch.float32] / times[torch.bfloat16]


def slow_bfloat16(precision: str) -> str:
    """Warn where `precision: bf16` would train more slowly than fp32 on this processor; else return an empty text."""
    if precision != "bf16" or (gain := bfloat16_gain()) >= 1:
        return ""
    return f"this processor multiplies bfloat16 at {gain:.2f} of float32's speed: precision fp32 is faster here"
