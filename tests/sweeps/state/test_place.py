"""Where a run was at work, as its journal keeps it."""

from __future__ import annotations

from pathlib import Path

from sweeps.state.place import Place, place_tags, places_in
from sweeps.state.versions import versions
from tsvan.journal import Journal


def test_each_process_leaves_its_place_and_a_resumed_one_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    Place.here("10.0.0.1", "CPU", 1, 0).note(journal)
    journal.append(10, "train", {"loss": 1.0})
    journal.append(20, "train", {"loss": 1.0})
    journal.truncate(10)
    Place.here("", "NVIDIA H100", 4, 10).note(journal)
    first, second = places_in(journal.lines())
    assert (first.iteration, first.device, first.threads) == (0, "CPU", 1)
    assert first.node.endswith(" (10.0.0.1)")
    assert (second.iteration, str(second)) == (10, f"{first.node.split()[0]}, NVIDIA H100, 4 threads")
    assert second.versions == versions()
    assert journal.last_iteration() == 10


def test_mlflow_is_told_node_device_threads_and_versions() -> None:
    tags = place_tags(Place("node", "CPU", 2, {"torch": "2.13.0"}))
    assert tags == {
        "place.node": "node",
        "place.device": "CPU",
        "place.threads": "2",
        "place.versions": '{"torch": "2.13.0"}',
    }


def test_a_line_of_another_kind_or_a_damaged_one_is_no_place(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "metrics.jsonl")
    journal.append(1, "train", {"loss": 1.0})
    journal.append(1, "place", {})
    journal.append(1, "place", {}, texts={"node": 3})
    assert places_in(journal.lines()) == []
