"""Whether a node can do a study's work: asked there, by a process of the study's own, before the first job."""

from __future__ import annotations

import importlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKED = ("code", "python", "torch", "numpy", "scipy", "av", "ray")
"""Versions on which a job's numbers depend."""
_NEEDED = ("torch", "numpy", "scipy", "av", "psutil", "yaml", "pydantic", "sweeps.execution.trial")
_SEEN_LATE_S = 15.0
"""How long a shared folder may hide what another machine has just written."""


@dataclass(frozen=True)
class NodeReport:
    """What a node says of itself.

    Args:
        problem: why it can't be used; empty: it can.
        device: name of the GPU, or `CPU`.
        gpu_bytes: memory of the GPU; 0: none is used there.
    """

    problem: str = ""
    device: str = "CPU"
    gpu_bytes: int = 0


@dataclass(frozen=True)
class CheckPlan:
    """What a node is asked.

    Args:
        folder: of the study.
        marker: file that the driver wrote there; empty: nothing was written, of a dry run.
        text: that the file holds.
        store: of the clips; empty: not known yet.
        store_hash: of their content.
        versions: the driver's.
        digest: of the driver's source.
        gpu: the node's GPU is tried.
    """

    folder: str
    marker: str
    text: str
    store: str
    store_hash: str
    versions: dict[str, str]
    digest: str
    gpu: bool


def check_node(plan: CheckPlan) -> NodeReport:
    """Look at everything that a job needs here; the first thing that is amiss is the problem."""
    for look in (_interpreter, _code, _folder, _clips):
        if problem := look(plan):
            return NodeReport(problem)
    return _device(plan)


def _interpreter(plan: CheckPlan) -> str:
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            return f"its interpreter lacks a part ({error}); install the project there"
    return ""


def _code(plan: CheckPlan) -> str:
    from sweeps.state.versions import source_digest, versions

    here = versions()
    different = [
        f"{name} {here[name]} for {plan.versions[name]}" for name in CHECKED if here[name] != plan.versions[name]
    ]
    if different:
        return f"it has other versions than the driver ({', '.join(different)}); install the driver's there"
    if source_digest() != plan.digest:
        return "its source files differ from the driver's; copy those there, and start its node again"
    return ""


def _folder(plan: CheckPlan) -> str:
    if not plan.marker:
        return ""
    deadline, marker, late = time.monotonic() + _SEEN_LATE_S, Path(plan.marker), ""
    while True:
        try:
            late = "" if marker.read_text() == plan.text else "what is read there is old"
        except OSError as error:
            late = error.strerror or str(error)
        if not late or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    if late:
        return f"it does not see the study's folder {plan.folder} ({late}); share it at that path"
    try:
        own = marker.with_name(f"{marker.name}-{time.time_ns()}")
        own.write_text(plan.text)
        own.unlink()
    except OSError as error:
        return f"it can't write to the study's folder {plan.folder} ({error.strerror}); allow it"
    return ""


def _clips(plan: CheckPlan) -> str:
    from tsvan.data.store import ClipStore

    if not plan.store:
        return ""
    try:
        found = ClipStore.open(plan.store).content_hash
    except (OSError, ValueError) as error:
        return f"it does not see the clips in {plan.store} ({_brief(error)}); share them at that path"
    return "" if found == plan.store_hash else f"it sees other clips in {plan.store}; share the driver's at that path"


def _device(plan: CheckPlan) -> NodeReport:
    import torch

    if not plan.gpu:
        return NodeReport()
    try:
        ones = torch.ones(64, 64, device="cuda")
        total = float((ones @ ones).sum())
        properties: Any = torch.cuda.get_device_properties(0)
    except RuntimeError as error:
        return NodeReport(f"its GPU does not work ({_brief(error)}); see to its driver, or start its node without it")
    if total != 64.0**3:
        return NodeReport("its GPU computes wrongly; start its node without it")
    return NodeReport("", str(properties.name), int(properties.total_memory))


def _brief(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
