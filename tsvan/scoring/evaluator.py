"""Scores of generated clips against one real reference, shared by all trials of a study."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from tsvan.data.batches import FrameReader
from tsvan.data.store import ClipStore
from tsvan.files import Progress, hash_json, write_atomically
from tsvan.scoring.classifier import Scorer
from tsvan.scoring.evidence import MIN_BLOCKS, Gap, gaps
from tsvan.scoring.features import measure
from tsvan.scoring.formulas import FRECHET_COMPARABLE_CLIPS, bootstrap_inception_score, bootstrap_kernel_distance
from tsvan.scoring.fvd import I3D
from tsvan.scoring.measured import Ints, Measured
from tsvan.scoring.metrics import METRICS, Metric, values
from tsvan.scoring.reference import (
    EvidenceWindows,
    evidence_windows,
    read_measured,
    read_table,
    real_windows,
    write_measured,
)
from tsvan.scoring.sample_size import Growth, grow, growth_sizes
from tsvan.scoring.sensitivity import KINDS, MUST_BE_BELOW_REAL, Sensitivity, spoilers
from tsvan.scoring.windows import Window, load
from tsvan.validation import UserError

FORMAT_VERSION = 3

Table = TypeVar("Table", Sensitivity, Growth)


@dataclass(frozen=True)
class RealDistances:
    """The distances of real clips to the real reference: what a perfect generator would get.

    Args:
        values: of the metrics that compare with real clips.
        num_clips: real clips compared; as many as were asked for when that many are held out.
    """

    values: dict[str, float]
    num_clips: int


@dataclass(frozen=True)
class Scores:
    """The scores of one group of clips; plain values throughout.

    Args:
        values: metric -> value; all are NaN when a clip is not finite. What cannot be measured is absent.
        num_clips: N.
        group: name of the sample group.
        scorer_hash: the scorer's.
        num_reference: clips of the real reference.
        frechet_comparable: whether both sides have the 1,024 clips below which a Frechet distance means little.
        real: real against real, at the same N when that many clips are held out.
        intervals: metric -> 95% bootstrap interval over clips, for display, when asked for.
    """

    values: dict[str, float]
    num_clips: int
    group: str
    scorer_hash: str
    num_reference: int
    frechet_comparable: bool
    real: RealDistances
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def finite(self) -> bool:
        """Tell whether every clip gave finite numbers."""
        return all(np.isfinite(value) for value in self.values.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


class Evaluator:
    """Scores clips with one scorer against the store's held-out clips.

    The held-out windows do not overlap. Every second one of each class is the reference of the distances; the others
    stand for a perfect generator in `real_distances`. The sensitivity table uses the halves both ways round.

    Args:
        scorer: of this store.
        store: its test split is the real reference.
        device: where clips are measured.
        cache_dir: folder for the reference's features and the sensitivity table, usually the scorer's; None: no cache.
        metrics: by name.
        i3d: a TorchScript file for `fvd_i3d` (see tsvan/scoring/fvd.py); it is executed.
        batch_size: real clips measured at once.
        max_windows: at most so many held-out windows are used, evenly spread.
        progress: told (done, total) while the reference is measured.

    Raises:
        UserError: the scorer is of another store, or fewer than two windows a side are held out.
    """

    def __init__(
        self,
        scorer: Scorer,
        store: ClipStore,
        device: torch.device | str = "cpu",
        *,
        metrics: Mapping[str, Metric] = METRICS,
        cache_dir: Path | None = None,
        i3d: Path | None = None,
        batch_size: int = 64,
        max_windows: int = 20_000,
        progress: Progress | None = None,
    ) -> None:
        if scorer.store_hash != store.content_hash:
            raise UserError(
                f"the scorer was trained on another clip store than {store.path}; train the one that belongs to it"
            )
        self.scorer = scorer
        self.store = store
        self.device = torch.device(device)
        self.scorer.network.to(self.device)
        self._i3d = None if i3d is None else I3D(i3d, self.device)
        self._batch_size = batch_size
        self._progress = progress
        self._windows = real_windows(store, max_windows)
        self._real_distances: dict[int, dict[str, float]] = {}
        missing = {name: metric.missing(scorer.scheme.num_classes, i3d is not None) for name, metric in metrics.items()}
        self._missing = {name: reason for name, reason in missing.items() if reason}
        self._metrics = {name: metric for name, metric in metrics.items() if name not in self._missing}
        self._keep_clips = any(metric.needs == "clips" for metric in self._metrics.values())
        self._cache = None if cache_dir is None else cache_dir / f"{self._key(max_windows)}.reference.pt"

    def score(self, clips: Iterable[Tensor], labels: Ints, *, group: str, intervals: bool = False) -> Scores:
        """Score generated clips.

        Args:
            clips: batches (b, 3, 10, 64, 64) in [-1, 1], consumed one at a time.
            labels: (N,) classes asked for, in the same order.
            group: name of the sample group, recorded.
            intervals: bootstrap intervals of the Inception Score and the kernel distance as well.

        Raises:
            ValueError: another number of clips than of labels, or fewer than two.
        """
        measured = self.measure(clips, labels)
        if len(measured) < 2:
            raise ValueError(f"scores need two clips or more, got {len(measured)}")
        return Scores(
            values=values(self._metrics, measured, self.reference),
            num_clips=len(measured),
            group=group,
            scorer_hash=self.scorer.hash,
            num_reference=len(self.reference),
            frechet_comparable=min(len(measured), len(self.reference)) >= FRECHET_COMPARABLE_CLIPS,
            real=self.real_distances(len(measured)),
            intervals=self._intervals(measured) if intervals and measured.finite else {},
        )

    def measure(self, clips: Iterable[Tensor], labels: Ints) -> Measured:
        """Measure what the networks say of clips (N, with N labels), for whoever needs more than their scores."""
        return measure(self.scorer, clips, labels, self.device, self._i3d, self._keep_clips)

    def real_distances(self, num_clips: int) -> RealDistances:
        """Measure held-out real clips against the reference, `num_clips` of them or as many as there are."""
        others = self._real[1::2]
        count = min(num_clips, len(others))
        if count not in self._real_distances:
            chosen = np.linspace(0, len(others) - 1, count).round().astype(np.int64)
            distances = {name: metric for name, metric in self._metrics.items() if not metric.resampled}
            self._real_distances[count] = values(distances, others[chosen], self.reference)
        return RealDistances(self._real_distances[count], count)

    def sensitivity(self) -> Sensitivity:
        """Score real, static, time-shuffled and noise clips, and tell how sure their rank is; measured once."""
        return self._kept("sensitivity", self._sensitivity, Sensitivity.from_dict)

    @property
    def knows_sensitivity(self) -> bool:
        """Tell whether the sensitivity was measured before."""
        file = self._file("sensitivity")
        return file is not None and file.exists()

    def growth(self, marked: Sequence[int]) -> Growth:
        """Measure the metrics of real clips at several N, among them the sizes `marked`; measured once."""
        sizes = growth_sizes(marked)
        name = f"growth-{'-'.join(str(size) for size in marked)}"
        return self._kept(name, lambda: grow(self._real, self._metrics, sizes, self.scorer.hash), Growth.from_dict)

    def _kept(self, name: str, make: Callable[[], Table], read: Callable[[Mapping[str, Any]], Table]) -> Table:
        """Read a table from its file, or make it and write it there."""
        file = self._file(name)
        if file is not None and file.exists():
            return read_table(file, read)
        table = make()
        if file is not None:
            write_atomically(file, json.dumps(table.to_dict(), indent=2))
        return table

    def _file(self, name: str) -> Path | None:
        return None if self._cache is None else self._cache.with_suffix(f".{name}.json")

    @property
    def reference(self) -> Measured:
        """Return the real clips that distances are measured to."""
        return self._real[::2]

    @cached_property
    def _real(self) -> Measured:
        """Measure all held-out windows, or read what was measured; the even ones are the reference."""
        if self._cache is not None and self._cache.exists():
            return read_measured(self._cache)
        measured = self._of(self._windows, "real")
        if self._cache is not None:
            write_measured(self._cache, measured)
        return measured

    def _sensitivity(self) -> Sensitivity:
        chosen = evidence_windows(self.store)
        rows = {}
        for kind in KINDS:
            measured = self._real if kind == "real" else self._of(self._windows, kind)
            # Each half against the other's real clips: twice the clips, and still no clip against itself.
            both = [values(self._metrics, measured[side::2], self._real[1 - side :: 2]) for side in (0, 1)]
            whole = {name: metric for name, metric in self._metrics.items() if metric.resampled}
            halved = {name: (both[0][name] + both[1][name]) / 2 for name in self._metrics}
            rows[kind] = {**halved, **values(whole, measured, self._real)}
        return Sensitivity(
            rows=rows,
            num_clips=len(self._real),
            num_distance_clips=len(self.reference),
            scorer_hash=self.scorer.hash,
            gaps=self._gaps(chosen),
            num_blocks=int(chosen.blocks.max(initial=-1)) + 1,
            unit=chosen.unit,
            missing=self._missing,
        )

    def _gaps(self, chosen: EvidenceWindows) -> dict[str, dict[str, Gap]]:
        if chosen.blocks.max(initial=-1) + 1 < MIN_BLOCKS:
            return {}
        real = self._of(chosen.windows, "real")
        broken = {kind: self._of(chosen.windows, kind) for kind in MUST_BE_BELOW_REAL}
        if not all(measured.finite for measured in (real, *broken.values())):
            return {}
        return {name: gaps(metric, real, broken, chosen.blocks) for name, metric in self._metrics.items()}

    def _of(self, windows: Sequence[Window], kind: str) -> Measured:
        """Measure what the networks say of held-out windows, or of their broken copies."""
        labels = np.array([window.clip.label for window in windows], dtype=np.int64)
        return self.measure(self._real_clips(windows, kind), labels)

    def _real_clips(self, windows: Sequence[Window], kind: str) -> Iterator[Tensor]:
        reader = FrameReader(self.store, self.device, resident_share=0)  # they are read once
        spoil = spoilers()[kind]
        for first in range(0, len(windows), self._batch_size):
            yield spoil(load(reader, windows[first : first + self._batch_size]), first)
            if self._progress is not None:
                self._progress(min(first + self._batch_size, len(windows)), len(windows))

    def _intervals(self, measured: Measured) -> dict[str, tuple[float, float]]:
        return {
            "inception_score": bootstrap_inception_score(measured.probabilities),
            "kernel_distance": bootstrap_kernel_distance(measured.features, self.reference.features),
        }

    def _key(self, max_windows: int) -> str:
        seen = {
            "format": FORMAT_VERSION,
            "scorer": self.scorer.hash,
            "store": self.store.content_hash,
            "i3d": None if self._i3d is None else self._i3d.hash,
            "max_windows": max_windows,
            "own_metrics": {name: metric.source for name, metric in self._metrics.items() if metric.source},
        }
        return hash_json(seen)[:32]
