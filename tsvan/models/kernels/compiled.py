"""Numba kernels: how they are compiled, and how the threads share their work."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
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
    calls = [partial(kernel, *part, *shared) for part in parts]
    team = _openmp()
    return _in_pool(calls) if team is None else team(calls)


def _in_pool(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    others = [_pool(len(calls) - 1).submit(call) for call in calls[1:]]
    return [calls[0](), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="tsvan")


class _Team:
    """The threads of PyTorch's own OpenMP.

    After their work they spin for a while, waiting for more: a thread of ours would get half a core beside them.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self._start = library.GOMP_parallel

    def __call__(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        results: list[Any] = [None] * len(calls)
        errors: list[BaseException] = []
        left = iter(enumerate(calls))  # each thread takes the next one: fewer may come than were asked for

        def work(_: int | None) -> None:
            try:
                for place, call in left:
                    results[place] = call()
            except BaseException as error:  # a callback has nobody to raise to
                errors.append(error)

        self._start(_WORK(work), None, len(calls), 0)
        if errors:
            raise errors[0]
        return results


_WORK = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _openmp() -> _Team | None:
    """Find the threads of PyTorch's OpenMP; None where PyTorch was built with another kind of threads."""
    try:
        return _Team(ctypes.CDLL("libgomp.so.1", mode=os.RTLD_NOLOAD))
    except (OSError, AttributeError):
        return None
