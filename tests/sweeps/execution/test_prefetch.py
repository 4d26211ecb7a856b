"""Points worked out ahead of who reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.config.load import load
from sweeps.execution.prefetch import Ahead
from sweeps.state.job import Interrupted, Job, Point
from sweeps.state.paths import StudyPaths
from tests.sweeps.studies import job_maker


class Counter:
    """A body of four points that says how far it came."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.reached = [threading.Event() for _ in range(5)]
        self.closed = threading.Event()

    def __call__(self, job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
        try:
            for iteration in (1, 2, 3, 4):
                if stop():
                    raise Interrupted
                self.made.append(iteration)
                self.reached[iteration].set()
                yield Point(iteration, {})
        finally:
            self.closed.set()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return job_maker(load("weizmann", "smoke")[0], StudyPaths(tmp_path))(0, {"lambda2": 5.0})


def test_it_waits_for_the_answer_only_where_the_study_may_stop_it(job: Job) -> None:
    body = Counter()
    ahead = Ahead(body, replace(job, waits_at=(2,)), lambda: False)
    assert ahead.next() == Point(1, {})
    assert ahead.next() == Point(2, {})
    assert body.reached[2].is_set()
    assert not body.reached[3].wait(0.2)
    assert ahead.next() == Point(3, {})  # the answer: go on
    assert body.reached[4].wait(5)
    assert ahead.next() == Point(4, {})
    assert ahead.next() is None


def test_without_named_points_it_waits_at_all(job: Job) -> None:
    body = Counter()
    ahead = Ahead(body, job, lambda: False)
    assert ahead.next() == Point(1, {})
    assert not body.reached[2].wait(0.2)
    ahead.leave()
    assert body.made == [1]
    assert body.closed.is_set()


def test_leaving_asks_a_body_that_does_not_wait_to_stop(job: Job) -> None:
    def endless(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
        while not stop():
            pass
        stopped.set()
        raise Interrupted
        yield

    stopped = threading.Event()
    Ahead(endless, replace(job, waits_at=()), lambda: False).leave()
    assert stopped.is_set()


def test_what_the_body_raises_comes_after_its_points(job: Job) -> None:
    def failing(job: Job, stop: Callable[[], bool]) -> Iterator[Point]:
        yield Point(1, {})
        raise RuntimeError("out of luck")

    ahead = Ahead(failing, replace(job, waits_at=()), lambda: False)
    assert ahead.next() == Point(1, {})
    with pytest.raises(RuntimeError, match="out of luck"):
        ahead.next()


def test_the_wish_to_stop_reaches_the_body(job: Job) -> None:
    with pytest.raises(Interrupted):
        Ahead(Counter(), job, lambda: True).next()
