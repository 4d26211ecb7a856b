"""Which settings a study has when it goes on: its own, and what may change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sweeps.config.schema import SweepConfig
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord
from tsvan.validation import UserError, build, flatten

MAY_CHANGE = ("trials", "resources", "calibrate", "final")
"""Keys that may differ when a study goes on; all others would make its trials incomparable."""
_CONFIRM = "final.confirm"
"""May change when it is asked for; a default that came later is no reason to train some more runs."""
_NAMED = ("dataset", "own_dataset", "model", "preset")
"""Keys that every command line names."""


def continued(
    record: StudyRecord, config: SweepConfig, asked: Iterable[str], paths: StudyPaths
) -> tuple[SweepConfig, list[str]]:
    """Work out the settings of a study that goes on.

    What the command line asks for must be what the study has. A default that has changed since it began, in a YAML that
    ships or with a new version, is not asked for: the study keeps its own.

    Args:
        record: of the study.
        config: that the command line would give a new study.
        asked: keys that the command line or its own file names, as `fixed.mask`.
        paths: of the study.

    Returns:
        The study's config with the new values of MAY_CHANGE, and a line for each setting that a new study would have
        otherwise.

    Raises:
        UserError: names the first key that was asked for and differs, or a key of a later version.
    """
    own = recorded_config(record, paths)
    named = (*_NAMED, *asked)
    if not any(_covers(name, _CONFIRM) or _covers(_CONFIRM, name) for name in named):
        config = replace(config, final=replace(config.final, confirm=own.final.confirm))
    if config.objective.auto:  # what it came to when the study began
        config = replace(config, objective=own.objective)
    new = config.to_dict()
    kept = []
    for key, old, now in _differences(own.to_dict(), new):
        if any(_covers(name, key) for name in named):
            raise _incomparable(paths, key, old, now)
        kept.append(f"the study keeps {key}={old} from when it began; a new one would have {now}")
    values = {**own.to_dict(), **{key: new[key] for key in MAY_CHANGE}}
    return build(SweepConfig, values, str(paths.config)), kept


def _covers(name: str, key: str) -> bool:
    """Tell whether a key is what was named, or lies in it."""
    return key == name or key.startswith(f"{name}.")


def check_same(record: StudyRecord, config: SweepConfig, paths: StudyPaths) -> None:
    """Refuse settings that would make a study's trials incomparable.

    A key that the study's own version did not have counts with today's default.

    Raises:
        UserError: names the first key that changed, or a key of a later version.
    """
    own = recorded_config(record, paths)
    for key, old, now in _differences(own.to_dict(), config.to_dict()):
        raise _incomparable(paths, key, old, now)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    before, now = flatten(old), flatten(new)
    keys = [*before, *(key for key in now if key not in before)]
    return [
        (key, before.get(key), now.get(key))
        for key in keys
        if key.split(".")[0] not in MAY_CHANGE and before.get(key) != now.get(key)
    ]


def _incomparable(paths: StudyPaths, key: str, old: Any, now: Any) -> UserError:
    return UserError(
        f"the study in {paths.root} has {key}={old}, now {key}={now}: its trials would not be comparable; choose "
        f"another --out or the old value"
    )


def recorded_config(record: StudyRecord, paths: StudyPaths) -> SweepConfig:
    """Return the config that a study was begun with.

    Raises:
        UserError: a key or a value of it is of another version of this program.
    """
    return config_of(record.config, str(paths.config))


def config_of(recorded: dict[str, Any], where: str) -> SweepConfig:
    """Build the config that a study has recorded.

    A key that the study's own version did not have has today's default, but for the scorer's heads: before there was a
    choice they were the published ones.

    Args:
        recorded: plain values of the record.
        where: its file, named in errors.

    Raises:
        UserError: a key or a value of it is of another version of this program.
    """
    scoring = recorded.get("scoring")
    if isinstance(scoring, dict):
        recorded = {**recorded, "scoring": {"heads": "published", **scoring}}
    try:
        return build(SweepConfig, recorded, where)
    except UserError as error:
        raise UserError(f"{error}; another version of this program wrote it: use that version") from None
