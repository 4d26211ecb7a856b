"""Clips for training: windows of the store's frames, cropped to 64 x 64 on the device.

What an iteration sees is a pure function of the seed and its number, so that a resumed run draws what the unbroken one
would have drawn.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tsvan.config import DataConfig, TrainConfig
from tsvan.data.datasets import CROP, span
from tsvan.data.store import FRAMES, Clip, ClipStore
from tsvan.memory import sent
from tsvan.random_draws import stream
from tsvan.validation import UserError

Ints = npt.NDArray[np.int64]

RESIDENT_SHARE = 0.1
"""Largest share of a GPU's memory that a store may take; a larger store stays on disk and its windows are sent over."""

# Names of the independent random streams of one seed.
_ORDER, _WINDOW, _FRAME_ORDER, _FRAME = 1, 2, 3, 4


class Batch(NamedTuple):
    """Clips (B, 3, T, 64, 64) float32 in [-1, 1] and labels (B,) int64, both on the device."""

    clips: Tensor
    labels: Tensor


class Draw(NamedTuple):
    """What is looked at of each clip of a batch: its index (B,), frame rows (B, T), corner of its crop (B,), (B,)."""

    chosen: Ints
    rows: Ints
    tops: Ints
    lefts: Ints


class FrameReader:
    """Cuts windows out of a store's frames; a store that fits is kept on the device as uint8.

    Args:
        store: the clips.
        device: where the clips are needed.
        resident_share: share of a GPU's memory that the store may take to be kept there.
    """

    def __init__(self, store: ClipStore, device: torch.device | str, resident_share: float = RESIDENT_SHARE) -> None:
        self.store = store
        self.device = torch.device(device)
        self.resident = _fits(store, self.device, resident_share)
        self._frames = _copy(store, self.device) if self.resident else None
        self._file = os.open(store.path / FRAMES, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def read(self, rows: Ints, tops: Ints, lefts: Ints) -> Tensor:
        """Read clips and crop them, one crop a clip.

        Args:
            rows: (B, T) rows of the store's frames.
            tops: (B,) first pixel row of each crop, 0..S-64.
            lefts: (B,) first pixel column of each crop, 0..S-64.

        Returns:
            (B, 3, T, 64, 64) float32 in [-1, 1] on the device, channels last.
        """
        clips = self._from_file(rows, tops, lefts) if self._frames is None else self._on_device(rows, tops, lefts)
        floats = clips.to(torch.float32, memory_format=torch.channels_last_3d)  # the order of the file
        return floats.div_(127.5).sub_(1.0)

    def _from_file(self, rows: Ints, tops: Ints, lefts: Ints) -> Tensor:
        """Cut crops (B, 3, T, 64, 64) uint8 out of the file and send them to the device."""
        return sent(torch.from_numpy(self.crops(rows, tops, lefts)), self.device).permute(0, 4, 1, 2, 3)

    def crops(self, rows: Ints, tops: Ints, lefts: Ints) -> npt.NDArray[np.uint8]:
        """Cut crops (B, T, 64, 64, 3) out of the mapped file.

        The system is told of all windows before the first is touched, so that a disk has them all to do at once; left
        to itself it reads page by page, and 128 kB around each.
        """
        size = self.store.side**2 * 3
        for row in rows:
            first, last = int(row.min()), int(row.max())
            self._will_need(self.store.frames.offset + first * size, (last - first + 1) * size)
        crops = np.empty((*rows.shape, CROP, CROP, 3), dtype=np.uint8)
        for crop, row, top, left in zip(crops, rows, tops, lefts, strict=True):
            for target, number in zip(crop, row, strict=True):
                target[:] = self.store.frames[number, top : top + CROP, left : left + CROP]
        return crops

    def _will_need(self, offset: int, length: int) -> None:
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._file, offset, length, os.POSIX_FADV_WILLNEED)

    def _on_device(self, rows: Ints, tops: Ints, lefts: Ints) -> Tensor:
        """Cut crops (B, 3, T, 64, 64) uint8 out of the frames that are on the device."""
        assert self._frames is not None
        where = torch.from_numpy(np.stack([rows, *(np.broadcast_to(x[:, None], rows.shape) for x in (tops, lefts))]))
        row, top, left = sent(where, self.device)
        # Every possible crop, as a view without a copy: (F, S-63, S-63, 3, 64, 64).
        crops = self._frames.unfold(1, CROP, 1).unfold(2, CROP, 1)
        return crops[row, top, left].permute(0, 2, 1, 3, 4)


class Batches:
    """The training batches of a run, by iteration.

    Each epoch passes through the clips without replacement and drops the last incomplete batch; with fewer clips than a
    batch holds, an epoch has each clip as often as it takes to fill one.

    Args:
        store: the clips.
        data: window length and split.
        batch_size: B.
        seed: of the run.
        device: where the batches are needed.
        resident_share: as for `FrameReader`.
        leave_out_short: train without the clips that are shorter than the window (`left_out`), in place of refusing
            them.

    Raises:
        UserError: a clip is shorter than the window, or all are.
    """

    def __init__(
        self,
        store: ClipStore,
        data: DataConfig,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        resident_share: float = RESIDENT_SHARE,
        leave_out_short: bool = False,
    ) -> None:
        every = training_clips(store, data)
        self.left_out = tuple(clip for clip in every if clip.num_frames < data.num_frames) if leave_out_short else ()
        self.clips = tuple(clip for clip in every if clip not in self.left_out) if self.left_out else every
        if not self.clips:
            raise UserError(
                f"data.num_frames={data.num_frames} is longer than every one of the {len(every)} training clips of "
                f"{store.path}; prepare a store from longer videos or train another --model"
            )
        self.batch_size = batch_size
        self.seed = seed
        self.reader = FrameReader(store, device, resident_share)
        self._starts, self._lengths, self._labels = _columns(self.clips)
        self._steps = np.array([_step(store, clip, data.num_frames) for clip in self.clips], dtype=np.int64)
        self._offsets = store.side - CROP + 1
        self._repeats = -(-batch_size // len(self.clips))
        self._set_window(data.num_frames, _ORDER, _WINDOW)

    def single_frames(self) -> Batches:
        """Return batches of one frame a clip (T = 1), any frame, drawn apart from these; the reader is shared."""
        frames = copy(self)
        frames._set_window(1, _FRAME_ORDER, _FRAME)
        return frames

    def _set_window(self, num_frames: int, order: int, window: int) -> None:
        """Take windows of so many frames, drawn from random streams of these names."""
        self.num_frames = num_frames
        self._choices = self._lengths - (num_frames - 1) * self._steps  # windows in a clip: length - span + 1
        self._order, self._window = order, window
        self._epoch: tuple[int, Ints] | None = None

    @property
    def iterations_per_epoch(self) -> int:
        """Return the number of batches of one pass over the clips."""
        return len(self.clips) * self._repeats // self.batch_size

    def at(self, iteration: int) -> Batch:
        """Read the batch of an iteration, counted from 1."""
        draw = self.drawn(iteration)
        labels = sent(torch.from_numpy(self._labels[draw.chosen]), self.reader.device)
        return Batch(self.reader.read(draw.rows, draw.tops, draw.lefts), labels)

    def drawn(self, iteration: int) -> Draw:
        """Draw what an iteration, counted from 1, looks at."""
        if iteration < 1:
            raise ValueError(f"iterations count from 1, got {iteration}")
        chosen = self.chosen(iteration)
        rng = stream(self.seed, self._window, iteration)
        first = self._starts[chosen] + rng.integers(0, self._choices[chosen])
        tops, lefts = rng.integers(0, self._offsets, size=(2, self.batch_size))
        rows = first[:, None] + self._steps[chosen, None] * np.arange(self.num_frames)  # (B, T)
        return Draw(chosen, rows, tops, lefts)

    def chosen(self, iteration: int) -> Ints:
        """Draw (B,) indices into `clips` for an iteration's batch."""
        epoch, position = divmod(iteration - 1, self.iterations_per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            order = stream(self.seed, self._order, epoch).permutation(len(self.clips) * self._repeats)
            self._epoch = (epoch, order % len(self.clips))
        return self._epoch[1][position * self.batch_size : (position + 1) * self.batch_size]


def trains_on_held_out(config: TrainConfig, store: ClipStore) -> bool:
    """Tell whether the clips that score a run are among those that it trains on (`split: paper` of VoxCeleb)."""
    return config.data.split == "paper" and store.rules.paper_trains_on_all


def training_clips(store: ClipStore, data: DataConfig) -> tuple[Clip, ...]:
    """Return the clips that a run trains on: the train split; VoxCeleb's with `split: paper` are all of them."""
    if data.split == "paper" and store.rules.paper_trains_on_all:
        return store.clips
    return store.split("train")


def _step(store: ClipStore, clip: Clip, num_frames: int) -> int:
    if clip.num_frames < num_frames:
        raise UserError(
            f"data.num_frames={num_frames} is longer than {clip.source} in {store.path}, of which {clip.num_frames} "
            f"frames are trained on; lower data.num_frames or prepare the store without that file"
        )
    return _fitting_step(clip, num_frames)


def _fitting_step(clip: Clip, num_frames: int) -> int:
    """Return the clip's step, or 1 where a window of that length would not fit (section 5 of the rules: too short)."""
    return clip.frame_step if span(num_frames, clip.frame_step) <= clip.num_frames else 1


def _columns(clips: Sequence[Clip]) -> tuple[Ints, Ints, Ints]:
    starts, lengths, labels = np.array(
        [(clip.start, clip.num_frames, clip.label) for clip in clips], dtype=np.int64
    ).T.copy()
    return starts, lengths, labels


def _fits(store: ClipStore, device: torch.device, share: float) -> bool:
    if device.type != "cuda":
        return False
    return store.frames.nbytes <= share * torch.cuda.get_device_properties(device).total_memory


def _copy(store: ClipStore, device: torch.device) -> Tensor:
    """Copy the frames to the device piece by piece: the host need not hold them all."""
    frames = torch.empty(store.frames.shape, dtype=torch.uint8, device=device)
    for first in range(0, len(frames), 4096):
        frames[first : first + 4096] = torch.from_numpy(np.array(store.frames[first : first + 4096]))
    return frames
