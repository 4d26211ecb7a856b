"""Memory of a training process, and the way from the host's to a GPU's."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

import torch
from torch import Tensor

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8  # mallopt(3)


@cache
def keep_freed_memory() -> bool:
    """Have the C library keep what PyTorch frees, for the rest of the process.

    As it comes, glibc hands every large block back to the system and gets it again as empty pages, which costs a
    training step a third of its time on a CPU. A user's own settings are left alone (`GLIBC_TUNABLES`,
    `MALLOC_TRIM_THRESHOLD_`, `LD_PRELOAD` of another allocator).

    Returns:
        Whether it was done: False on other systems, with another allocator, or by the user's settings.
    """
    chosen = any(name in os.environ for name in ("LD_PRELOAD", "GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_"))
    if sys.platform != "linux" or chosen:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, 2**31 - 1), mallopt(_ARENA_MAX, 1)])


def sent(values: Tensor, device: torch.device) -> Tensor:
    """Send the host's values to the device.

    A GPU is not waited for, as it would be with memory that the system may move.
    """
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
