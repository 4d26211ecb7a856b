"""The sample clips of a run, as MLflow holds them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from analysis.reading import Study, artifact
from analysis.store import connect
from tsvan.validation import UserError

FOLDER = "samples"


@dataclass(frozen=True)
class Samples:
    """What a run generated at its last score; the clips come from the same latents in every trial of a study.

    Args:
        iteration: iterations done.
        sheet: contact sheet (PNG), one clip a row; None: there is none.
        video: all clips side by side (MP4); None: there is none.
    """

    iteration: int
    sheet: Path | None
    video: Path | None


def list_samples(study: Study, run_id: str) -> dict[int, list[str]]:
    """List the files of every score by iteration, in order."""
    found: dict[int, list[str]] = {}
    for file in connect(study.uri).list_artifacts(run_id, FOLDER):
        stem = PurePosixPath(file.path).stem
        if stem.startswith("iter-"):
            found.setdefault(int(stem.removeprefix("iter-")), []).append(file.path)
    return dict(sorted(found.items()))


def download_samples(study: Study, run_id: str, folder: Path) -> Samples:
    """Download the last samples of a run.

    Args:
        folder: made when needed.

    Raises:
        UserError: the run has no samples.
    """
    found = list_samples(study, run_id)
    if not found:
        raise UserError(f"MLflow run {run_id} has no samples; it ended before its first score")
    iteration, names = list(found.items())[-1]
    folder.mkdir(parents=True, exist_ok=True)
    files = {PurePosixPath(name).suffix: artifact(study, run_id, name, folder) for name in names}
    return Samples(iteration, files.get(".png"), files.get(".mp4"))
