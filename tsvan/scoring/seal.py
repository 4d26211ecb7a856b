"""The seal on the `report` group: final numbers are for a config that was chosen before they were seen.

A study writes the hashes of its winner and of its rival into a file before it scores either; a run whose config is
not named there is refused. Every look is a line in a ledger, written before the clips are scored.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tsvan.config import TrainConfig
from tsvan.files import write_atomically
from tsvan.state_file import read_state
from tsvan.validation import UserError

SEALED = "report"
CHOICES = Path("stages") / "choice.json"
"""Where a study, a folder with a `study.yaml`, writes down what it chose."""


def write_down(choices: Path, entry: dict[str, dict[str, str]]) -> None:
    """Add a choice, role -> `hash` of the settings (and anything for people); the last one is not written twice."""
    before = _read(choices)
    if not before or before[-1] != entry:
        write_atomically(choices, json.dumps([*before, entry], indent=1))


def num_choices(choices: Path) -> int:
    """Count how often the group was opened for another choice."""
    return len(_read(choices))


def look(choices: Path, config: TrainConfig, ledger: Path) -> int:
    """Note that a run is about to be scored on the sealed group.

    Args:
        choices: file of the choices.
        config: of the run.
        ledger: of the run, made when needed.

    Returns:
        Which look at this run it is, from 1.

    Raises:
        UserError: the config was not written down before.
    """
    known = {str(role["hash"]) for entry in _read(choices) for role in entry.values() if "hash" in role}
    if config.settings_hash not in known:
        raise UserError(
            f"the sample group '{SEALED}' is sealed: config {config.settings_hash[:8]} is not written down in "
            f"{choices}; choose by 'validation' or 'confirm', and let the study's final stage score the choice"
        )
    line = {"time": datetime.now(UTC).isoformat(timespec="seconds"), "hash": config.settings_hash, "seed": config.seed}
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with open(ledger, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return looks(ledger)


def looks(ledger: Path) -> int:
    """Count how often a run was scored on the sealed group."""
    return len(ledger.read_text(encoding="utf-8").splitlines()) if ledger.exists() else 0


def choices_of(run: Path) -> Path | None:
    """Find the choices of the study that a run's folder or checkpoint lies in; None: it is in no study."""
    for folder in run.resolve().parents:
        if (folder / "study.yaml").exists():
            return folder / CHOICES
    return None


def _read(choices: Path) -> list[dict[str, dict[str, Any]]]:
    return read_state(choices, list[dict[str, dict[str, Any]]], _REMEDY) or []


_REMEDY = (
    "it says what was chosen before it was looked at, and can't be made again: restore it from a copy, or move it away "
    "to begin counting anew"
)
