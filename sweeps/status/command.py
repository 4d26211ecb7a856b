"""`tune_runner.py status --out DIR`: one table of what a study's files, Optuna and MLflow say; and `--repair`."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

from sweeps.config.same_study import recorded_config
from sweeps.config.schema import SweepConfig
from sweeps.search.shared_database import storage_address
from sweeps.state.paths import StudyPaths
from sweeps.state.record import StudyRecord, read_record
from sweeps.status import instructions
from sweeps.status.study_status import RunStatus, StudyStatus, study_status
from sweeps.tracking.destination import Destination, destination
from tsvan.terminal import duration
from tsvan.validation import UserError

COLUMNS = ("run", "settings", "iteration", "score", "files", "optuna", "mlflow", "place", "")


def status(args: argparse.Namespace) -> int:
    """Print how a study stands; with `--repair` mend it first.

    Returns:
        Exit code 0.

    Raises:
        UserError: there is no study, or it is to be repaired while a driver works on it.
    """
    paths = StudyPaths(args.out.resolve())
    record = read_record(paths)
    if record is None:
        raise UserError(f"no study in {paths.root}; give the folder that --out named")
    paths = replace(paths, storage=storage_address(args.storage, record))
    config = recorded_config(record, paths)
    where = destination(args.tracking_uri, config, paths)
    mended = _repaired(paths, record, config, where) if args.repair else []
    found = study_status(paths, record, config, where)
    if args.json:
        print(json.dumps({**found.to_dict(), "mended": mended}, indent=1))
        return 0
    for line in mended:
        print(line)
    if args.repair and not mended:
        print("nothing to mend")
    for line in lines(found):
        print(line)
    return 0


def _repaired(paths: StudyPaths, record: StudyRecord, config: SweepConfig, where: Destination) -> list[str]:
    from sweeps.status.repair import repair

    return repair(paths, record, config, where)


def lines(found: StudyStatus) -> list[str]:
    """Return the table and what to do, as lines for people."""
    ended = sum(run.state not in ("running", "interrupted", "not begun") for run in found.trials)
    driver = f"process {found.driver}" if found.driver else "none alive"
    head = [
        f"study   {found.folder}: {found.dataset}, preset {found.preset}",
        f"stage   {found.stage}, {ended} of {found.asked} trials ended{_ahead(found)}; driver: {driver}",
        *_best(found),
        f"MLflow  {found.mlflow_uri}{_run_of_study(found)}",
        *instructions.lines(found.instructions, found.driver),
    ]
    rows = [_row(run) for run in (*found.trials, *found.final)]
    widths = [max(len(row[place]) for row in (COLUMNS, *rows)) for place in range(len(COLUMNS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    title = "  ".join(name.ljust(width) for name, width in zip(COLUMNS, widths, strict=True)).rstrip()
    return [*head, *(["", title, *table, ""] if rows else []), *_closing(found)]


def _ahead(found: StudyStatus) -> str:
    return "" if found.left_s is None else f", about {duration(found.left_s)} left of the stage"


def _best(found: StudyStatus) -> list[str]:
    runs = [run for run in found.trials if run.name == found.best]
    return [f"best    {run.name}: {run.score:.4g} with {run.settings}" for run in runs]


def _run_of_study(found: StudyStatus) -> str:
    if found.mlflow_problem:
        return f" can't be asked ({found.mlflow_problem}); its column shows ?"
    return f", the study's run is {found.parent}" if found.parent else ", no run of this study yet"


def _row(run: RunStatus) -> tuple[str, ...]:
    return (
        run.name,
        run.settings,
        f"{run.iteration}/{run.total}",
        "-" if run.score is None else f"{run.score:.4g}",
        run.state,
        run.optuna or "-",
        run.mlflow or "-",
        run.places[-1] if run.places else "-",
        "; ".join([*run.problems, *run.lost, *(["will start again"] if run.state == "not begun" else [])]),
    )


def _closing(found: StudyStatus) -> list[str]:
    out = f"'tune_runner.py status --out {found.folder} --repair'"
    notes = [*(f"problem: {text}" for text in found.problems), *found.damaged]
    if lost := sum(bool(run.lost) for run in (*found.trials, *found.final)):
        notes.append(f"the folders of {lost} run(s) have lost something; what is kept of those runs stays as it is")
    if found.disagree == 0:
        asked = "all that could be asked agree" if found.mlflow_problem else "all agree"
        return [*notes, asked]
    verb = "disagrees" if found.disagree == 1 else "disagree"
    way_on = f"when the driver has ended, {out} mends" if found.driver else f"{out} mends"
    return [*notes, f"{found.disagree} {verb}: {way_on} {'it' if found.disagree == 1 else 'them'}"]
