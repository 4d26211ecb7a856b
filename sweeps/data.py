"""Which clips a study is about: a store that is there, raw videos, or stand-ins that were asked for."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sweeps.paths import StudyPaths
from tsvan.data.datasets import rules
from tsvan.data.prepare import fingerprint, list_folder, prepare
from tsvan.data.standin import Size, draw
from tsvan.data.store import INDEX, ClipStore
from tsvan.files import Progress
from tsvan.strict import UserError


@dataclass(frozen=True)
class DataPlan:
    """Where the clips come from.

    Args:
        kind: an existing `store`, a folder of `raw` videos, or drawn stand-ins (`synthetic`).
        source: the store or the folder of videos; None for stand-ins.
        store: where the store is or will be; None: named after the videos' contents, when they have been read.
        size: of stand-ins.
    """

    kind: Literal["store", "raw", "synthetic"]
    source: Path | None
    store: Path | None
    size: Size = "small"


def locate(dataset: str, preset: str, data_root: Path | None, synthetic: bool, paths: StudyPaths) -> DataPlan:
    """Find the clips; nothing is written.

    Raises:
        UserError: there is no data and stand-ins were not asked for, or what was given is unusable.
    """
    if synthetic and data_root is not None:
        raise UserError("--data synthetic and --data-root exclude each other; leave one out")
    if synthetic or (data_root is None and preset == "smoke"):
        size: Size = "small" if preset == "smoke" else "large"
        return DataPlan("synthetic", None, (paths.stores / f"{dataset}-standin-{size}").resolve(), size)
    root = data_root if data_root is not None else Path("data") / dataset
    if not root.exists():
        option = "" if data_root is None else "--data-root "
        raise UserError(
            f"no {dataset} data: looked at {option}{root}, expected videos named {rules(dataset).layout}, or a clip "
            f"store; give --data-root DIR, or --data synthetic for stand-in clips"
        )
    if (root / INDEX).exists():
        ClipStore.open(root, dataset)
        return DataPlan("store", root.resolve(), root.resolve())
    list_folder(rules(dataset), root)
    return DataPlan("raw", root.resolve(), None)


def open_store(dataset: str, plan: DataPlan, paths: StudyPaths, progress: Progress | None = None) -> ClipStore:
    """Open the store, or build it first. What fails leaves nothing behind.

    Raises:
        UserError: the videos are unusable, or the store is damaged or of another dataset.
    """
    target = plan.store
    if plan.kind == "raw":
        assert plan.source is not None
        target = (paths.stores / f"{dataset}-{fingerprint(dataset, plan.source)[:12]}").resolve()
    assert target is not None
    if (target / INDEX).exists():
        return ClipStore.open(target, dataset)
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if plan.kind == "synthetic":
            return draw(dataset, target, size=plan.size, progress=progress)
        assert plan.source is not None
        return prepare(dataset, plan.source, target, progress=progress)
    except UserError:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
