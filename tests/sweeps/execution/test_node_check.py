"""What a node finds amiss, each with the line that names it; the check runs here as it would there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sweeps.execution import node_check
from sweeps.execution.node_check import CheckPlan, check_node
from sweeps.state.versions import source_digest, versions
from tsvan.data.store import ClipStore


@pytest.fixture
def plan(weizmann_store: ClipStore, tmp_path: Path) -> CheckPlan:
    """Of a node that has everything."""
    marker = tmp_path / "node-check"
    marker.write_text("now")
    store = weizmann_store
    return CheckPlan(
        str(tmp_path), str(marker), "now", str(store.path), store.content_hash, versions(), source_digest(), gpu=False
    )


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_check, "_SEEN_LATE_S", 0.1)


def test_a_node_that_has_everything_is_used_and_leaves_nothing(plan: CheckPlan) -> None:
    assert check_node(plan) == node_check.NodeReport("", "CPU", 0)
    assert os.listdir(plan.folder) == ["node-check"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda plan: replace(plan, versions={**plan.versions, "torch": "1.0"}), "for 1.0); install the driver's"),
        (lambda plan: replace(plan, digest="other"), "its source files differ from the driver's"),
        (lambda plan: replace(plan, text="newer"), "(what is read there is old); share it at that path"),
        (lambda plan: replace(plan, marker="/nonexistent/node-check"), "does not see the study's folder"),
        (lambda plan: replace(plan, store="/nonexistent/store"), "does not see the clips in /nonexistent/store"),
        (lambda plan: replace(plan, store_hash="other"), "it sees other clips in"),
        (lambda plan: replace(plan, gpu=True), "its GPU does not work"),
    ],
)
def test_what_a_node_lacks_is_named(
    change: Callable[[CheckPlan], CheckPlan], words: str, plan: CheckPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_gpu(*_: object, **__: object) -> None:
        raise RuntimeError("No CUDA GPUs are available")

    if words.startswith("its GPU"):
        monkeypatch.setattr("torch.ones", no_gpu)
    assert words in check_node(change(plan)).problem


def test_a_part_that_the_interpreter_lacks_is_named(plan: CheckPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_check, "_NEEDED", ("no_such_part",))
    assert "its interpreter lacks a part (No module named 'no_such_part')" in check_node(plan).problem


def test_a_folder_that_shows_late_is_waited_for(plan: CheckPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = Path(plan.marker)
    marker.write_text("old")
    monkeypatch.setattr(node_check, "_SEEN_LATE_S", 60.0)
    monkeypatch.setattr("time.sleep", lambda _: marker.write_text("now"))
    assert check_node(plan).problem == ""


def test_without_a_marker_no_folder_is_asked_for(plan: CheckPlan) -> None:
    assert check_node(replace(plan, marker="", store="", folder="/nonexistent")).problem == ""
