"""`stages/now.json`: the stage that runs jobs now, so that `status` can tell how long it will take."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from sweeps.state.paths import StudyPaths
from tsvan.files import write_atomically
from tsvan.state_file import MADE_AGAIN, read_state


@dataclass(frozen=True)
class StageAtWork:
    """A stage that runs jobs.

    Args:
        total: its jobs.
        done: those that had ended when it began.
        since: when that was, in seconds since 1970.
    """

    total: int
    done: int
    since: float

    def write(self, paths: StudyPaths) -> None:
        """Write the stage, atomically."""
        write_atomically(paths.stage, json.dumps(asdict(self)))

    @classmethod
    def read(cls, paths: StudyPaths) -> StageAtWork | None:
        """Read the stage; None: no stage has run jobs yet. Raises UserError: the file is damaged."""
        return read_state(paths.stage, cls, MADE_AGAIN)
