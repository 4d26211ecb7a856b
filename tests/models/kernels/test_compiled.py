import threading

import numpy as np
import pytest
import torch

from tsvan.models.kernels import compiled


@pytest.fixture(params=["PyTorch's threads", "own threads"])
def threads(request, monkeypatch):
    """Three threads, wherever they come from."""
    if request.param == "own threads":
        monkeypatch.setattr(compiled, "_openmp", lambda: None)
    elif compiled._openmp() is None:
        pytest.skip("this PyTorch has no GNU OpenMP")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_each_part_is_worked_on_once_and_in_several_threads(threads):
    array, ran, together = np.arange(float(compiled.SMALL)), [], threading.Barrier(3, timeout=30)

    def kernel(part, factor):
        together.wait()  # passes only where three threads are at work
        ran.append(threading.get_ident())
        return part.sum() * factor

    results = compiled.in_threads(kernel, [array], 2.0)
    assert results == [part.sum() * 2 for part in np.split(array, [compiled.SMALL // 3, 2 * compiled.SMALL // 3])]
    assert len(set(ran)) == 3


def test_an_error_in_a_thread_reaches_the_caller(threads):
    def kernel(part):
        if part[0] > 0:
            raise ValueError(f"part at {part[0]}")

    with pytest.raises(ValueError, match="part at"):
        compiled.in_threads(kernel, [np.arange(float(compiled.SMALL))])


def test_small_work_stays_in_the_calling_thread(threads):
    ran = []
    compiled.in_threads(lambda part: ran.append((threading.get_ident(), len(part))), [np.zeros(10)])
    assert ran == [(threading.get_ident(), 10)]
