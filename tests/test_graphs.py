"""What can be said of captures without a GPU: `test_trainer.py` compares whole runs where there is one."""

import weakref
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch import nn

from tests.graph_streams import Stream, entered, streams
from tsvan import graphs
from tsvan.out_of_memory import memory_error
from tsvan.random_draws import Draws
from tsvan.step_result import StepResult

CPU = torch.device("cpu")
DRAW = partial(Draws, 0, 1, CPU)
CLIPS, LABELS = torch.ones(2, 3, 10, 4, 4), torch.zeros(2, dtype=torch.int64)


@pytest.fixture
def captures(monkeypatch):
    """In place of CUDA's captures: a list of them; a replay counts."""
    made = []
    streams.clear()
    graphs._capture_stream.cache_clear()
    Stream.current = main = Stream()

    class Graph:
        def __init__(self):
            self.replays = 0
            made.append(self)

        def replay(self):
            self.replays += 1

        def pool(self):
            return "pool"

    @contextmanager
    def capture(graph, pool, stream):
        assert stream is Stream.current is not main
        yield

    fakes = {
        "CUDAGraph": Graph, "graph": capture, "Stream": Stream,
        "current_stream": lambda device: Stream.current, "stream": entered,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return made


def make_step(norm, places=None):
    """A step that leaves in `places` where it reads from, by its frame."""

    def step(clips, labels, draws, **scalars):
        norm(clips.mean(2))
        frame, noise = draws.integer(0, 8), draws.noise(2)
        if places is not None:
            places[frame] = noise, scalars["kl_weight"]
        return StepResult({}, {"frame": torch.tensor(frame), "constant": 0.5})

    return step


def host(draw):
    return graphs.HostDraws.of("content", draw(), CLIPS.shape[2], 1.0)


def do_nothing(result):
    pass


def test_a_graph_serves_its_kind_and_its_places_are_filled_for_each_replay(captures):
    norm, places = nn.BatchNorm2d(3), {}
    run = graphs.Graphs(norm, CPU, do_nothing)
    frames = [Draws(0, i, CPU).integer(0, 8) for i in range(1, 30)]
    for i, frame in enumerate(frames, start=1):
        def draw(i=i):
            return Draws(0, i, CPU)

        weights = {"kl_weight": float(i)}
        names, values = run("content", make_step(norm, places), CLIPS, LABELS, draw, host(draw), weights)
        assert (names, values.dtype, values.tolist()) == (("frame", "constant"), torch.float32, [frame, 0.5])
        noise, weight = places[frame]
        assert torch.equal(noise, draw().noise(2))
        assert float(weight) == i
    assert len(captures) == len(set(frames))
    assert sum(graph.replays for graph in captures) == len(frames)
    assert int(norm.num_batches_tracked) == 0  # warm-ups and captures leave running statistics alone
    assert len(streams) == 2  # one serves all captures, of all runs
    graphs.Graphs(norm, CPU, do_nothing)
    assert len(streams) == 2


def test_an_update_belongs_to_the_graph_not_to_its_warm_ups_and_gradients_are_not_kept(captures):
    gradients, updates = [], []

    def step(clips, labels, draws, **scalars):
        gradient = torch.ones(3)
        gradients.append(weakref.ref(gradient))
        return StepResult({"owner": [gradient]}, {"loss": torch.tensor(1.0)})

    run = graphs.Graphs(nn.BatchNorm2d(3), CPU, lambda result: updates.append(len(gradients)))
    run("content", step, CLIPS, LABELS, DRAW, graphs.HostDraws(), {})
    assert updates == [graphs.WARM_UPS + 1]
    assert [gradient() for gradient in gradients] == [None] * (graphs.WARM_UPS + 1)


def refused(monkeypatch, inside, at_its_end=None):
    """Have every capture fail as PyTorch's do."""

    @contextmanager
    def refuse(graph, pool, stream):
        Stream.current = stream
        try:
            raise inside
            yield
        finally:
            if at_its_end is not None:
                raise at_its_end

    monkeypatch.setattr(torch.cuda, "graph", refuse)


def test_without_captures_steps_run_as_they_are(captures, monkeypatch, caplog):
    refused(monkeypatch, RuntimeError("operation not permitted\nmore"), RuntimeError("capture invalidated"))
    norm, main = nn.BatchNorm2d(3), Stream.current
    run = graphs.Graphs(norm, CPU, do_nothing)
    for i in (1, 2):
        draw = partial(Draws, 0, i, CPU)
        run("content", make_step(norm), CLIPS, LABELS, draw, host(draw), {"kl_weight": 1.0})
        assert Stream.current is main
    assert int(norm.num_batches_tracked) == 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == "training goes on without CUDA graphs, more slowly: operation not permitted"


@pytest.mark.parametrize("at_its_end", [None, RuntimeError("capture invalidated")])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["PyTorch", "Triton", "cuBLAS"],
)
def test_memory_that_runs_out_is_not_taken_for_a_failed_capture(captures, monkeypatch, error, at_its_end):
    refused(monkeypatch, error, at_its_end)
    norm, main = nn.BatchNorm2d(3), Stream.current
    run = graphs.Graphs(norm, CPU, do_nothing)
    with pytest.raises(RuntimeError) as raised:
        run("content", make_step(norm), CLIPS, LABELS, DRAW, host(DRAW), {"kl_weight": 1.0})
    assert memory_error(raised.value)
    assert Stream.current is main
    assert int(norm.num_batches_tracked) == 0
