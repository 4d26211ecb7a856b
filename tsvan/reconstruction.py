"""How well a run rebuilds held-out clips: the plainest sign that it learns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tsvan.data.batches import FrameReader
from tsvan.data.store import ClipStore
from tsvan.interface import ReconstructionErrors
from tsvan.models.networks import Networks, difference
from tsvan.models.precision import full
from tsvan.scoring.windows import held_out_windows, load


def reconstruction_errors(
    networks: Networks, store: ClipStore, device: torch.device, batch_size: int = 16
) -> ReconstructionErrors:
    """Rebuild every held-out window (central crop) and compare.

    Args:
        networks: used in evaluation mode and left in it.
        store: the run's clip store.
    """
    networks.eval()
    mean = _mean_training_frame(store, device)
    sums, count = np.zeros(3), 0
    with torch.inference_mode():
        for clips, labels in _held_out(store, device, batch_size):
            rebuilt, rolled = reconstruct(networks, clips, labels)
            pairs = ((rebuilt, clips), (rolled[:, :, 1:], clips[:, :, 1:]), (mean.expand_as(clips), clips))
            sums += [float((ours - theirs).square().mean()) * len(clips) for ours, theirs in pairs]
            count += len(clips)
    content, sequence, mean_frame = (sums / max(count, 1)).tolist()
    return ReconstructionErrors(content, sequence, mean_frame, count)


def reconstruct(networks: Networks, clips: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rebuild clips by the content stream alone, and by rolling out the posterior means of the motion.

    Args:
        clips: (B, 3, T, 64, 64).
        labels: (B,).

    Returns:
        Two tensors (B, 3, T, 64, 64); they share frame 0.
    """
    batch, _, count = clips.shape[:3]
    onehot = networks.one_hot(labels)
    stills = []
    for t in range(count):
        mean = networks.content_encoder.mean_only(clips[:, :, t], onehot)
        stills.append(full(networks.content_decoder(mean, onehot)))
    frames, state = [stills[0]], networks.no_history(batch, clips.device)
    for t in range(count - 1):
        if t > 0:
            state = networks.advance(networks.motion_encoder.maps(difference(frames[t - 1], frames[t])), state)
        maps = networks.motion_encoder.maps(difference(clips[:, :, t], clips[:, :, t + 1]))
        z_m, _ = networks.motion_encoder.posterior(maps, onehot)
        frames.append(networks.next_frame(networks.content(frames[t], onehot), z_m, state, onehot)[0])
    return torch.stack(stills, dim=2), torch.stack(frames, dim=2)


def _held_out(store: ClipStore, device: torch.device, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
    windows = held_out_windows(store)
    reader = FrameReader(store, device)
    for first in range(0, len(windows), batch_size):
        part = windows[first : first + batch_size]
        yield load(reader, part), torch.tensor([window.clip.label for window in part], device=device)


def _mean_training_frame(store: ClipStore, device: torch.device) -> Tensor:
    """Average all training frames and take the central crop, (1, 3, 1, 64, 64)."""
    total, count = np.zeros(store.frames.shape[1:]), 0
    for clip in store.split("train"):
        frames = store.frames[clip.start : clip.start + clip.num_frames]
        total += frames.sum(0, dtype=np.float64)
        count += len(frames)
    offset = (store.side - 64) // 2
    mean = (total / max(count, 1))[offset : offset + 64, offset : offset + 64] / 127.5 - 1
    return torch.from_numpy(mean).float().permute(2, 0, 1)[None, :, None].to(device)
