"""Checkpoints: whole or absent, told apart from damaged ones, and loaded without running anything from the file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tsvan.checkpoint_files import list_checkpoints
from tsvan.files import hash_file, publish, temporary
from tsvan.interface import implementation
from tsvan.run_config import TrainConfig
from tsvan.validation import UserError, first_line

FORMAT = 1
KEEP = 2
_log = logging.getLogger(__name__)


class NewerFormat(UserError):
    """A later version of this program wrote the checkpoint. Nothing is wrong with it, so no older one stands in."""


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint says.

    Args:
        config: of the run.
        iteration: iterations done, pre-training included.
        classes: what the labels stand for, in order.
        store_hash: content hash of the clip store that was trained on.
        store_path: where that store was.
        networks: weights, running statistics included.
        optimisers: their states by owner; empty where only the networks were kept.
    """

    config: TrainConfig
    iteration: int
    classes: tuple[str, ...]
    store_hash: str
    store_path: str
    networks: dict[str, Any]
    optimisers: dict[str, Any]

    def build_networks(self, device: torch.device) -> nn.Module:
        """Build the networks on a device, in evaluation mode."""
        networks = implementation(self.config.model_name).networks(self.config, len(self.classes))
        networks.load_state_dict(self.networks)
        return networks.to(device).eval()


def save(checkpoint: Checkpoint, folder: Path, keep: int = KEEP) -> Path:
    """Write `folder/<iteration>.<checksum>.pt` and drop all but the newest `keep`.

    The file has its name when it is whole and on disk; older ones go afterwards.

    Returns:
        The file written.

    Raises:
        OSError: the disk is full or can't be written; the checkpoints before stay.
    """
    values = {
        "format": FORMAT,
        "config": checkpoint.config.to_dict(),
        "iteration": checkpoint.iteration,
        "classes": list(checkpoint.classes),
        "store_hash": checkpoint.store_hash,
        "store_path": checkpoint.store_path,
        "networks": checkpoint.networks,
        "optimisers": checkpoint.optimisers,
    }
    with temporary(folder / "checkpoint") as file:
        _write(values, file)
        path = folder / f"{checkpoint.iteration:09d}.{hash_file(file)[:16]}.pt"
        publish(file, path)
    for old in list_checkpoints(folder)[keep:]:
        old.unlink(missing_ok=True)
    return path


def load(path: Path) -> Checkpoint:
    """Read one checkpoint.

    Args:
        path: the file, or a run's folder, whose newest good checkpoint is meant.

    Raises:
        UserError: the file is missing, damaged, or not a checkpoint of this program.
        NewerFormat: a later version wrote it.
    """
    if path.is_dir() and (found := newest(path / "checkpoints")):
        return found
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}; give a .pt file from a run's checkpoints folder")
    parts = path.name.split(".")
    try:
        if len(parts) == 3 and hash_file(path)[:16] != parts[1]:
            raise UserError(f"checkpoint {path} is damaged: its contents do not match the checksum in its name")
        values = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except UserError:
        raise
    except Exception as error:  # torch raises a dozen kinds for files that are not its own
        raise UserError(f"checkpoint {path} cannot be read: {first_line(error)}") from None
    written = values.get("format") if isinstance(values, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise NewerFormat(
            f"checkpoint {path} has format {written}, this program reads format {FORMAT}: a later version wrote it; "
            f"go on with that version"
        )
    if not isinstance(values, dict) or written != FORMAT:
        raise UserError(f"{path} is not a checkpoint of format {FORMAT}; it was written by another program or version")
    return Checkpoint(
        TrainConfig.from_dict(values["config"], str(path)),
        values["iteration"],
        tuple(values["classes"]),
        values["store_hash"],
        values["store_path"],
        values["networks"],
        values["optimisers"],
    )


def newest(folder: Path, note: Callable[[str], None] = _log.warning) -> Checkpoint | None:
    """Load the newest checkpoint that can be read; damaged ones are passed over with a note. None: there is none.

    Raises:
        UserError: there are checkpoints, and none can be read: nothing starts again at 0 silently.
        NewerFormat: a later version wrote the newest.
    """
    paths = list_checkpoints(folder)
    for path in paths:
        try:
            return load(path)
        except NewerFormat:
            raise
        except UserError as error:
            note(f"{error}; going back to the checkpoint before it")
    if paths:
        raise UserError(
            f"none of the {len(paths)} checkpoints in {folder} can be read; move the folder away to start anew"
        )
    return None


def _write(values: dict[str, Any], file: Path) -> None:
    try:
        with open(file, "wb") as stream:
            torch.save(values, stream)
    except RuntimeError as error:  # torch hides a full disk behind an error of its own
        raise error.__context__ if isinstance(error.__context__, OSError) else error from None
