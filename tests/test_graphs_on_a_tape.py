"""Whole runs with graphs, without a GPU: a tape of PyTorch's operations stands in for CUDA's captures.

As with CUDA a capture does not happen, and a replay reads and writes the same memory, operation by operation; what the
host computed in between is not computed again.
"""

import math

import pytest
import torch

from tests.drawn_batches import TEACHER_FORCED, DrawnBatches
from tests.graph_streams import Stream, entered
from tests.tape import Tape, with_graphs
from tsvan import adversarial, graphs, lockstep
from tsvan.models import fusion, norms
from tsvan.models.kernels import adaptive_torch
from tsvan.trainer import Trainer

CPU = torch.device("cpu")
@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """All that a step decides is decided on the device, and every operation is PyTorch's."""
    monkeypatch.setattr(lockstep, "side_by_side", lambda tensor: True)
    monkeypatch.setattr(adversarial, "decided_by_device", lambda tensor: True)
    monkeypatch.setattr(norms, "fusable", lambda norm, inputs: False)
    monkeypatch.setattr(fusion, "_arithmetic", lambda features, vertical: adaptive_torch)
    monkeypatch.setattr(graphs, "WARM_UPS", 1)
    Stream.current = Stream()
    fakes = {
        "CUDAGraph": Tape, "Stream": Stream, "current_stream": lambda device: Stream.current, "stream": entered,
    }  # fmt: skip
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    graphs._capture_stream.cache_clear()


@pytest.mark.parametrize(
    ("settings", "bound"),
    [(TEACHER_FORCED, 1e-6), ({"iterations": 40, "ramp_start": 0.1, "sequence_share_start": 0.5}, 1e-2)],
    ids=["real frames", "scheduled sampling"],
)
def test_a_run_of_replays_is_the_run_of_its_steps(
    settings, bound, tiny_config, weizmann_store, tmp_path, as_on_a_gpu, monkeypatch
):
    config = tiny_config.with_settings({**settings, "pretrain_iterations": 2})
    runs = []
    for name in ("graphs", "steps"):
        trainer = Trainer.open(config, weizmann_store, tmp_path / name, "cpu", log_every=1)
        trainer.training.batches = DrawnBatches()
        if name == "graphs":
            with_graphs(trainer, monkeypatch)
        records = list(trainer.run(10))
        runs.append((records, trainer.networks.state_dict()))
        if name == "graphs":
            assert not trainer._graphs._broken
            assert {key[0] for key in trainer._graphs._graphs} == {"pretrain", "content", "one_step", "sequence"}
            assert ("sequence", (), settings is TEACHER_FORCED) in {key[:3] for key in trainer._graphs._graphs}
    (ours, our_state), (theirs, their_state) = runs
    for one, other in zip(ours, theirs, strict=True):
        assert set(one.values) == set(other.values)
        for key, value in one.values.items():
            assert "rate" in key or math.isclose(value, other.values[key], rel_tol=bound, abs_tol=bound), key
    for key, value in their_state.items():
        torch.testing.assert_close(our_state[key], value, rtol=bound, atol=bound, msg=lambda text, key=key: key + text)
