"""`add`, `stop`, `pause`, `resume`, `workers`: what is asked of a study while it runs, checked, then written down.

Whether a driver is alive makes no difference to what is written: the one that is follows at once, the next one when it
begins.
"""

from __future__ import annotations

import argparse
from typing import Any

from sweeps.config.same_study import recorded_config
from sweeps.config.schema import SweepConfig
from sweeps.search.added_settings import settings
from sweeps.search.storage import trial_numbers
from sweeps.state.inbox import Inbox, Instruction, is_paused
from sweeps.state.job import Outcome
from sweeps.state.lock import driver_of
from sweeps.state.paths import StudyPaths
from sweeps.state.record import read_record
from sweeps.state.uris import shown_command
from tsvan.validation import UserError

MOST_WORKERS = 10_000


def steer(args: argparse.Namespace) -> int:
    """Write down what a user asks of a study, and say what becomes of it.

    Returns:
        Exit code 0.

    Raises:
        UserError: there is no study, or it can't be followed.
    """
    paths = StudyPaths(args.out.resolve())
    record = read_record(paths)
    if record is None:
        raise UserError(f"no study in {paths.root}; give the folder that --out named")
    config, inbox = recorded_config(record, paths), Inbox(paths)
    for kind, values in _asked(args, config, paths, inbox):
        print(_said(inbox.ask(kind, **values), paths))
    return 0


def _asked(args: argparse.Namespace, config: SweepConfig, paths: StudyPaths, inbox: Inbox) -> list[tuple[Any, Any]]:
    """List what the command line asks for, as kinds and values of instructions."""
    kind = args.command
    if kind == "add":
        return [(kind, {"settings": settings(config, args.settings)})]
    if kind == "stop":
        return [(kind, {"trial": _running_trial(text, paths)}) for text in args.trials]
    if kind == "workers":
        return [(kind, {"workers": _workers(args.workers)})]
    if is_paused(inbox.instructions()) == (kind == "pause"):
        now = "paused already" if kind == "pause" else "not paused"
        look = shown_command(["python", "tune_runner.py", "status", "--out", str(paths.root)])
        raise UserError(f"the study in {paths.root} is {now}; see it with: {look}")
    return [(kind, {})]


def _running_trial(text: str, paths: StudyPaths) -> int:
    """Return the number of a trial that has begun and not ended. Raises UserError: there is no such."""
    numbers = trial_numbers(paths)
    begun = [number for number in numbers if Outcome.read(paths.trial(number)) is None]
    may = f"trials without an end: {', '.join(map(str, begun))}" if begun else "no trial is without an end now"
    number = text.removeprefix("trials/")
    if not number.isdecimal() or int(number) not in numbers:
        raise UserError(f"stop {text}: no such trial in {paths.root}; {may}")
    if int(number) not in begun:
        outcome = Outcome.read(paths.trial(int(number)))
        assert outcome is not None
        raise UserError(f"stop {text}: the trial has ended ({outcome.state}); {may}")
    return int(number)


def _workers(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise UserError(f"workers {text}: must be a number from 1 to {MOST_WORKERS:,}, or auto; as in workers 2")
    return int(text)


def _said(new: Instruction, paths: StudyPaths) -> str:
    """Say what becomes of an instruction."""
    driver = driver_of(paths)
    then = {
        "add": "runs next",
        "stop": "ends with its last score",
        "pause": "running trials save a checkpoint, and nothing runs until 'resume'",
        "resume": "goes on",
        "workers": "running trials save a checkpoint and go on with the new number",
    }[new.kind]
    who = f"process {driver} follows within seconds" if driver else "no driver is alive: the study's command follows"
    return f"asked ({new.number}): {new}: {then}; {who}"
