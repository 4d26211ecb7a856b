"""Which clips a study is about: a store that is there, raw videos, or stand-ins that were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sweeps.config.schema import STAND_INS
from sweeps.state.paths import StudyPaths
from tsvan.data.datasets import DatasetRules
from tsvan.data.raw.filenames import natural
from tsvan.data.raw.fingerprint import fingerprint
from tsvan.data.raw.prepare import PREPARATION, check_names, prepare
from tsvan.data.splits import rule_of
from tsvan.data.standin.config import Size
from tsvan.data.standin.drawing import draw
from tsvan.data.store import INDEX, ClipStore
from tsvan.files import Progress, one_at_a_time, shown_path
from tsvan.terminal import counted
from tsvan.validation import UserError


@dataclass(frozen=True)
class DataPlan:
    """The plan of where the clips come from.

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


def locate(dataset: DatasetRules, preset: str, data_root: Path | None, synthetic: bool, paths: StudyPaths) -> DataPlan:
    """Find the clips; nothing is written.

    Raises:
        UserError: there is no data and stand-ins were not asked for, or what was given is unusable.
    """
    if synthetic and data_root is not None:
        raise UserError("--data synthetic and --data-root exclude each other; leave one out")
    if synthetic or (data_root is None and preset in STAND_INS):
        size: Size = "small" if preset in STAND_INS else "large"
        return DataPlan("synthetic", None, (paths.stores / f"{dataset.name}-standin-{size}").resolve(), size)
    root = data_root if data_root is not None else Path("data") / dataset.name
    if not root.exists():
        option = "" if data_root is None else "--data-root "
        raise UserError(
            f"no {dataset.name} data: looked at {option}{root}, expected videos named {dataset.wanted}, or a clip "
            f"store; give --data-root DIR, or --data synthetic for stand-in clips"
        )
    if (root / INDEX).exists():
        ClipStore.open(root, dataset)
        return DataPlan("store", root.resolve(), root.resolve())
    check_names(dataset, root)
    return DataPlan("raw", root.resolve(), None)


def found_classes(dataset: DatasetRules, data_root: Path | None) -> tuple[str, ...]:
    """Find the classes of a dataset's clips, in the order of their labels; none where there are no clips yet."""
    root = data_root if data_root is not None else Path("data") / dataset.name
    if (root / INDEX).exists():
        return ClipStore.open(root, dataset).classes
    if not root.is_dir():
        return ()
    found = {candidate.identity.class_name for candidate in check_names(dataset, root).candidates}
    return tuple(sorted(found, key=natural))


def open_store(
    dataset: DatasetRules, plan: DataPlan, paths: StudyPaths, began_with: Path | None, progress: Progress | None = None
) -> ClipStore:
    """Open the store, or build it first; building that was interrupted goes on where it was.

    Args:
        dataset: whose clips.
        plan: where they come from.
        paths: of the study.
        began_with: the store of a study that goes on.
        progress: called with files done and files in all.

    Raises:
        UserError: the videos are unusable or not the study's, or the store is damaged or of another dataset.
    """
    target = plan.store
    if plan.kind == "raw":
        assert plan.source is not None
        prints = fingerprint(dataset, plan.source, preparation=tuple(range(PREPARATION, 1, -1)))
        candidates = [(paths.stores / f"{dataset.name}-{found[:12]}").resolve() for found in prints]
        # A study that goes on keeps the clips that an older version made of the same videos.
        target = next((path for path in candidates if path == began_with), candidates[0])
    assert target is not None
    if (target / INDEX).exists():
        return ClipStore.open(target, dataset)
    if began_with is not None and (began_with / INDEX).exists():
        raise UserError(
            f"the study in {paths.root} began with the clips in {began_with}, not with {plan.source or target}; leave "
            f"--data-root and --data out to go on with them, or choose another --out"
        )
    made = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    try:
        return _built(dataset, plan, target, progress)
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise


def store_line(store: ClipStore) -> str:
    """Say in a line what the clips are, for the terminal."""
    split = {name: len(store.split(name)) for name in ("train", "test")}
    source = "stand-in clips" if store.data_source == "synthetic" else "clips"
    return (
        f"{split['train']} {source} to train on, {split['test']} held out, {counted(store.num_classes, 'class')}, in "
        f"{shown_path(store.path)}"
    )


def clips_summary(store: ClipStore) -> dict[str, Any]:
    """Sum up what the clips are and how they came about, for the study's summary."""
    return {
        "split": store.split_rule if store.rules.ships else f"held out by {store.rules.held_out.by}",
        "layout": store.layout or "drawn stand-in clips",
        "centring": store.centring,
        "train_clips": len(store.split("train")),
        "test_clips": len(store.split("test")),
        "unusable_files": len(store.rejected),
        "left_out": len(store.left_out),
        "shares_takes": rule_of(store.rules, store.split_rule).by == "phase",
    }


def clips_line(clips: Mapping[str, Any]) -> str:
    """Say the summary in a sentence, for the report."""
    centring = f"; centring: {clips['centring']}" if clips["centring"] else ""
    split = clips["split"] if clips["split"].startswith("held out") else f"the {clips['split']}'s split"
    shared = " **Parts of one take are on both sides of this split.**" if clips["shares_takes"] else ""
    return (
        f"Clips: {clips['layout']}{centring}; {split}, {clips['train_clips']:,} to train on, "
        f"{clips['test_clips']:,} held out; {clips['unusable_files']} files could not be used, {clips['left_out']} "
        f"were left out.{shared}"
    )


def _built(dataset: DatasetRules, plan: DataPlan, target: Path, progress: Progress | None) -> ClipStore:
    """Build the store, or wait for another process that is building it, and use what that made."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with one_at_a_time(target.with_name(f".{target.name}.lock")):
            if (target / INDEX).exists():
                return ClipStore.open(target, dataset)
            return _build(dataset, plan, target, progress)
    except OSError as error:
        where = target.parent
        raise UserError(f"cannot make the clip store in {where}: {error.strerror}; choose another --out") from None


def moved_store(recorded: str, content_hash: str, paths: StudyPaths) -> Path:
    """Return where a study's clip store lies now: as recorded, or beside the study, if the runs' folder was moved."""
    there, here = Path(recorded), paths.stores / Path(recorded).name
    if (there / INDEX).exists() or not (here / INDEX).exists():
        return there
    return here.resolve() if ClipStore.open(here).content_hash == content_hash else there


def _build(dataset: DatasetRules, plan: DataPlan, target: Path, progress: Progress | None) -> ClipStore:
    if plan.kind == "synthetic":
        return draw(dataset, target, size=plan.size, progress=progress)
    assert plan.source is not None
    return prepare(dataset, plan.source, target, progress=progress)
