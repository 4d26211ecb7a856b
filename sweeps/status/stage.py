"""How long the stage at work takes still, by what has ended in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sweeps.state.paths import StudyPaths
from sweeps.state.stage_at_work import StageAtWork
from tsvan.validation import UserError


def seconds_left(paths: StudyPaths) -> float | None:
    """Estimate the seconds left of the stage at work; None: not known.

    Each run that is left counts as many seconds as each run took that ended in the stage.
    """
    stage = None
    with suppress(UserError):  # of a damaged file `status` tells elsewhere
        stage = StageAtWork.read(paths)
    if stage is None:
        return None
    times = [changed_at(file) for file in paths.root.glob("*/*/outcome.json")]
    here = [time for time in times if time > stage.since]
    left = stage.total - stage.done - len(here)
    return (max(here) - stage.since) / len(here) * left if here and left > 0 else None


def changed_at(file: Path) -> float:
    """Return when a file was written last, in seconds since the epoch; 0: it is gone."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
