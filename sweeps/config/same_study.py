"""Which settings may change when a study goes on."""

from __future__ import annotations

from sweeps.config.schema import SweepConfig
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from tsvan.validation import UserError, build, flatten

MAY_CHANGE = ("trials", "resources", "calibrate", "final")
"""Keys that may differ when a study goes on; all others would make its trials incomparable."""


def check_same(record: StudyRecord, config: SweepConfig, paths: StudyPaths) -> None:
    """Refuse to go on with settings that would make the trials incomparable.

    A key that the study's own version did not have counts with today's default.

    Raises:
        UserError: names the first key that changed, or a key of a later version.
    """
    old = flatten(build(SweepConfig, record.config, str(paths.config)).to_dict())
    new = flatten(config.to_dict())
    for key in [*old, *(key for key in new if key not in old)]:
        if key.split(".")[0] not in MAY_CHANGE and old.get(key) != new.get(key):
            raise UserError(
                f"the study in {paths.root} has {key}={old.get(key)}, now {key}={new.get(key)}: its trials would not "
                f"be comparable; choose another --out or the old value"
            )
