"""What counts as memory that ran out: PyTorch's own error, and what Triton, cuBLAS and cuDNN say in its place."""

from __future__ import annotations

from collections.abc import Iterator

_NO_MEMORY = (
    "CUDA error: out of memory",
    "Triton Error [CUDA]: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_NOT_INITIALIZED",  # its handle found no room
    "CUDNN_STATUS_ALLOC_FAILED",
    "DEVICE_ALLOCATION_FAILED",  # the end of cuDNN's later name for it
    "DefaultCPUAllocator: can't allocate memory",
)


def memory_error(error: BaseException) -> str | None:
    """Say in a line that memory was too small; None: it is another kind of error.

    Args:
        error: as it was caught; what caused it is looked at, too.
    """
    import torch  # whoever handles an error in a command that needs no torch imports this module as well

    for link in causes(error):
        if isinstance(link, (torch.OutOfMemoryError, MemoryError)):
            text = " ".join(str(link).split())
            return f"{type(link).__name__}: {text.split('. ')[0]}"[:200] if text else type(link).__name__
        if isinstance(link, RuntimeError) and (words := next((w for w in _NO_MEMORY if w in str(link)), None)):
            return f"{type(link).__name__}: {words}"
    return None


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it, or to what was being handled when it came."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
