"""Numba kernels: how they are compiled, and how the threads share their work."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numba import njit

Array = npt.NDArray[Any]

SMALL = 1 << 15  # elements: below, handing work to other threads costs more than it saves

compiled = njit(nogil=True, fastmath=True, cache=os.access(Path(__file__).parent, os.W_OK))
"""Compile on first use. The code is kept beside the source for the next process; where that can't be written, each
process compiles anew (seconds)."""


def in_threads(kernel: Callable[..., Any], split: Sequence[Array], *shared: Any) -> list[Any]:
    """Call `kernel(*split, *shared)` in as many threads as PyTorch uses, each with its part of the `split` arrays.

    Args:
        kernel: releases the interpreter lock.
        split: arrays of one length, cut along their first axis.
        shared: handed to all as they are.

    Returns:
        What each call returned, in the order of the parts.
    """
    length, threads = len(split[0]), torch.get_num_threads()
    if threads == 1 or split[0].size < SMALL:
        return [kernel(*split, *shared)]
    bounds = np.linspace(0, length, min(threads, length) + 1).astype(int)
    parts = [[array[low:high] for array in split] for low, high in pairwise(bounds)]
    others = [_pool(threads - 1).submit(kernel, *part, *shared) for part in parts[1:]]
    return [kernel(*parts[0], *shared), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="tsvan")
