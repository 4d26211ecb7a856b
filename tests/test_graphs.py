"""What can be said of captures without a GPU: `test_trainer.py` compares whole runs where there is one."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from tsvan import graphs
from tsvan.draws import Draws
from tsvan.steps import StepResult

CPU = torch.device("cpu")
CLIPS, LABELS = torch.ones(2, 3, 10, 4, 4), torch.zeros(2, dtype=torch.int64)


@pytest.fixture
def captures(monkeypatch):
    """In place of CUDA's captures: a list of them; a replay counts."""
    made = []

    class Graph:
        def __init__(self):
            self.replays = 0
            made.append(self)

        def replay(self):
            self.replays += 1

        def pool(self):
            return "pool"

    @contextmanager
    def capture(graph, pool):
        yield

    stream = SimpleNamespace(wait_stream=lambda other: None)
    fakes = {
        "CUDAGraph": Graph, "graph": capture, "Stream": lambda device: stream,
        "current_stream": lambda device: stream, "stream": lambda stream: nullcontext(),
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


def test_without_captures_steps_run_as_they_are(captures, monkeypatch, caplog):
    @contextmanager
    def refuse(graph, pool):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    norm = nn.BatchNorm2d(3)
    run = graphs.Graphs(norm, CPU)
    for i in (1, 2):
        run("content", make_step(norm), CLIPS, LABELS, lambda i=i: Draws(0, i, CPU), 1.0, {"kl_weight": 1.0})
    assert int(norm.num_batches_tracked) == 2
    (message,) = [record.getMessage() for record in caplog.records]
    assert "without CUDA graphs" in message
    assert "more" not in message.split(": ")[1]
