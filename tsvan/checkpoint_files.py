"""The files of a run's checkpoints, to be listed without PyTorch."""

from __future__ import annotations

from pathlib import Path


def list_checkpoints(folder: Path) -> list[Path]:
    """List the checkpoints of a run, newest first."""
    return sorted(folder.glob("*.*.pt"), reverse=True)
