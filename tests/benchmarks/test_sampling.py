"""The benchmark of sampling and scoring does the work that it times."""

from __future__ import annotations

import pytest

from benchmarks import sampling
from benchmarks.sampling import Row, measure


def test_every_clip_of_a_row_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def generate(networks: object, seeds: object, labels: object, batch_size: int, precision: str) -> list[int]:
        seen.append(len(seeds))  # type: ignore[arg-type]
        return []

    monkeypatch.setattr(sampling, "generate", generate)
    monkeypatch.setattr(sampling, "fitting_batch", lambda *_: 6)
    row = measure(Row("sampling", "cpu", "bf16", 16, 0, 4))
    assert seen == [2, 6]  # to warm up; then a whole batch at least
    assert (row.batch, row.clips, row.chosen) == (6, 6, True)


def test_scoring_is_timed_on_the_clips_asked_for() -> None:
    row = measure(Row("scoring", "cpu", "fp32", 0, 2, 3))
    assert (row.batch, row.clips, row.chosen) == (2, 3, False)
    assert row.clips_per_s > 0
    assert row.minutes == pytest.approx(150 / row.clips_per_s)
