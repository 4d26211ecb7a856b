"""How a node is divided, and which slot the next job gets; numbers worked out by hand."""

from __future__ import annotations

import pytest

from sweeps.execution.slots import Placement, Slots, jobs_a_gpu, slots_of, spread


@pytest.mark.parametrize(("share", "jobs"), [(1.0, 1), (0.5, 2), (0.4, 2), (0.34, 2), (1 / 3, 3), (0.1, 10)])
def test_a_share_fits_as_often_as_it_fits_whole(share: float, jobs: int) -> None:
    assert jobs_a_gpu(share) == jobs


@pytest.mark.parametrize(
    ("cpus", "gpus", "share", "cpus_asked", "most", "expected"),
    [
        (64, 8, 1.0, None, None, Slots(8, 8, 1.0)),
        (64, 8, 0.4, None, None, Slots(16, 4, 0.4)),
        (10, 2, 0.5, None, None, Slots(4, 2, 0.5)),
        (4, 8, 1.0, None, None, Slots(8, 0.5, 1.0)),  # fewer cores than jobs: each has a part of one
        (4, 8, 1.0, 1, None, Slots(4, 1, 1.0)),
        (0, 2, 1.0, None, None, Slots(2, 0.0, 1.0)),  # Ray was told of no cores
        (64, 8, 1.0, None, 2, Slots(2, 32, 1.0)),
        (64, 0, 1.0, None, None, Slots(0, 0, 1.0)),
        (16, 0, 0.0, None, None, Slots(1, 16, 0.0)),
        (16, 8, 0.0, None, 4, Slots(4, 4, 0.0)),
        (16, 0, 0.0, 3, None, Slots(5, 3, 0.0)),
        (0, 0, 0.0, None, None, Slots(0, 0, 0.0)),
        (2, 0, 0.0, 4, None, Slots(0, 0, 0.0)),
    ],
)
def test_the_cores_of_a_node_are_shared_equally_by_as_many_jobs_as_fit(
    cpus: float, gpus: float, share: float, cpus_asked: int | None, most: int | None, expected: Slots
) -> None:
    assert slots_of(cpus, gpus, share, cpus_asked, most) == expected


def test_a_job_has_at_least_one_thread() -> None:
    assert [Slots(1, cpus, 0).threads for cpus in (0, 0.5, 1, 3)] == [1, 1, 1, 3]


def test_workers_that_are_asked_for_are_spread_over_the_nodes_as_far_as_they_take_them() -> None:
    assert spread(4, {"a": 8, "b": 8}) == {"a": 2, "b": 2}
    assert spread(5, {"a": 1, "b": 8, "c": 2}) == {"a": 1, "b": 2, "c": 2}
    assert spread(9, {"a": 1, "b": 2}) == {"a": 1, "b": 2}


def test_jobs_go_to_the_emptiest_node_and_then_where_a_worker_was_left() -> None:
    placement = Placement()
    placement.add("a", "10.0.0.1", Slots(2, 4, 0))
    placement.add("b", "10.0.0.2", Slots(1, 8, 1))
    taken = [placement.take(f"t{number}") for number in range(4)]
    assert [slot and (slot.node, slot.slots.cpus) for slot in taken] == [("a", 4), ("a", 4), ("b", 8), None]
    placement.release("t2")
    placement.release("t0")
    again = placement.take("t4")
    assert again is not None
    assert again.node == "a"
    assert placement.workers == 3


def test_how_many_run_follows_the_nodes_that_come_and_go() -> None:
    placement = Placement(most=3)
    placement.add("a", "10.0.0.1", Slots(2, 1, 0))
    assert [placement.take(name) is not None for name in "xyz"] == [True, True, False]
    placement.add("b", "10.0.0.2", Slots(2, 1, 0))
    assert placement.workers == 3
    assert placement.take("z") is not None
    assert placement.take("w") is None  # --workers 3
    placement.remove("a")
    assert [placement.is_gone(name) for name in "xyz"] == [True, True, False]
    placement.release("x")
    moved = placement.take("x")
    assert moved is not None
    assert moved.node == "b"
    assert placement.workers == 2


def test_memory_that_runs_out_makes_it_one_fewer_at_a_time() -> None:
    placement = Placement.of(Slots(3, 1, 0))
    assert [placement.shrink() for _ in range(3)] == [2, 1, 1]
    assert [placement.take(name) is not None for name in "xy"] == [True, False]
