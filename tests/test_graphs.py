"""What can be said of captures without a GPU: `test_trainer.py` compares whole runs where there is one."""

from contextlib import contextmanager

import pytest
import torch
from torch import nn

from sweeps.trouble import memory_trouble
from tsvan import graphs
from tsvan.draws import Draws
from tsvan.steps import StepResult

CPU = torch.device("cpu")
CLIPS, LABELS = torch.ones(2, 3, 10, 4, 4), torch.zeros(2, dtype=torch.int64)


class Stream:
    """In place of CUDA's: `current` is where work goes."""

    current: "Stream"

    def __init__(self, device=None):
        streams.append(self)

    def wait_stream(self, other):
        pass


streams: list[Stream] = []


@contextmanager
def entered(stream):
    before, Stream.current = Stream.current, stream
    try:
        yield
    finally:
        Stream.current = before


@pytest.fixture
def captures(monkeypatch):
    """In place of CUDA's captures: a list of them; a replay counts."""
    made = []
    streams.clear()
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


def make_step(norm):
    def step(clips, labels, draws, **scalars):
        norm(clips.mean(2))
        frame = draws.integer(0, 8)
        return StepResult({}, {"seen": draws.noise(2), "frame": torch.tensor(frame), "scalar": scalars["kl_weight"]})

    return step


def test_a_graph_serves_its_kind_and_its_places_are_filled_for_each_replay(captures):
    norm = nn.BatchNorm2d(3)
    run = graphs.Graphs(norm, CPU)
    frames = [Draws(0, i, CPU).integer(0, 8) for i in range(1, 30)]
    for i, frame in enumerate(frames, start=1):
        def draw(i=i):
            return Draws(0, i, CPU)

        result = run("content", make_step(norm), CLIPS, LABELS, draw, 1.0, {"kl_weight": float(i)})
        assert int(result.values["frame"]) == frame
        assert torch.equal(result.values["seen"], draw().noise(2))
        assert float(result.values["scalar"]) == i
    assert len(captures) == len(set(frames))
    assert sum(graph.replays for graph in captures) == len(frames)
    assert int(norm.num_batches_tracked) == 0  # warm-ups and captures leave running statistics alone
    assert len(streams) == 2  # one serves all captures


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
    run = graphs.Graphs(norm, CPU)
    for i in (1, 2):
        run("content", make_step(norm), CLIPS, LABELS, lambda i=i: Draws(0, i, CPU), 1.0, {"kl_weight": 1.0})
        assert Stream.current is main
    assert int(norm.num_batches_tracked) == 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert message == "training goes on without CUDA graphs, more slowly: operation not permitted"


@pytest.mark.parametrize("at_its_end", [None, RuntimeError("capture invalidated")])
def test_memory_that_runs_out_is_not_taken_for_a_failed_capture(captures, monkeypatch, at_its_end):
    refused(monkeypatch, torch.OutOfMemoryError("CUDA out of memory"), at_its_end)
    norm, main = nn.BatchNorm2d(3), Stream.current
    run = graphs.Graphs(norm, CPU)
    with pytest.raises(RuntimeError) as error:
        run("content", make_step(norm), CLIPS, LABELS, lambda: Draws(0, 1, CPU), 1.0, {"kl_weight": 1.0})
    assert str(memory_trouble(error.value)).startswith("OutOfMemoryError")
    assert Stream.current is main
    assert int(norm.num_batches_tracked) == 0
