"""A dataset's silhouettes, from a MATLAB file to boxes; read in a process of its own, as a file may hold anything."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from tsvan.data.raw import limits
from tsvan.data.raw.boxes import Boxes, mask_boxes
from tsvan.validation import UserError

_TIMEOUT_S = 300.0


def find_masks(folder: Path, name: str) -> list[Path]:
    """Find the files of that name in a folder, in order; what is not a regular file is no file of masks."""
    return sorted(path for path in folder.rglob(name) if not limits.file_problem(path))


def load_masks(folder: Path, name: str) -> dict[str, Boxes]:
    """Load the subjects' boxes by the videos' names from a file of silhouettes; empty where there is no such file.

    Args:
        folder: the source folder.
        name: of the file, somewhere in it.

    Raises:
        UserError: the file is there and cannot be read.
    """
    found = find_masks(folder, name)
    if not found:
        return {}
    command = [sys.executable, "-m", "tsvan.data.raw.masks", str(found[0])]
    try:
        answer = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, env=limits.reader_environment())
    except subprocess.TimeoutExpired:
        reason, boxes = f"not read after {_TIMEOUT_S:.0f} s", None
    else:
        reason, boxes = pickle.loads(answer.stdout) if answer.returncode == 0 else ("it ended its reader", None)
    if boxes is None:
        raise UserError(f"cannot read the masks in {found[0]}: {reason}; get the file again, or remove it")
    return dict(boxes)


def _read(file: str) -> tuple[str, dict[str, Boxes] | None]:
    """Return what is wrong with a file, or its boxes."""
    from scipy.io import loadmat

    try:
        content = loadmat(file, simplify_cells=True)
        masks = content.get("original_masks")
        if not isinstance(masks, dict):
            return "no 'original_masks' in it", None
        return "", {key.lower(): mask_boxes(np.moveaxis(np.atleast_3d(mask), 2, 0) > 0) for key, mask in masks.items()}
    except Exception as error:
        # SciPy raises whatever its arithmetic meets in a damaged file; this process does nothing else.
        return " ".join(f"{type(error).__name__}: {error}".split()), None


if __name__ == "__main__":
    limits.limit_memory()
    sys.stdout.buffer.write(pickle.dumps(_read(sys.argv[1])))
