"""Whether Triton's kernels run on this machine."""

from __future__ import annotations

import logging
from functools import cache

import torch

from tsvan.models.tables import KERNEL_SIZE
from tsvan.out_of_memory import memory_error
from tsvan.validation import first_line

_log = logging.getLogger(__name__)


@cache
def triton_runs() -> bool:
    """Launch a kernel, and return whether it ran; the reason is a line in the log, once.

    Triton comes with PyTorch's CUDA build on Linux only, and calls a C compiler when a kernel is first launched.
    """
    try:
        from tsvan.models.kernels import adaptive_cuda

        pixel, taps = torch.zeros(1, 1, 1, 1, device="cuda"), torch.zeros(1, 1, 1, KERNEL_SIZE, device="cuda")
        adaptive_cuda.forward(pixel, taps, taps, pixel[..., 0])
    except Exception as error:
        if memory_error(error):
            raise
        _log.warning(
            "training goes on without Triton, more slowly: %s; it needs a C compiler such as gcc", first_line(error)
        )
        return False
    return True
