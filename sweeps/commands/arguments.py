"""What the command line of tune_runner.py takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from tsvan.data.datasets import DATASETS
from tsvan.registry import MODELS
from tsvan.run_config import FIRST_MODEL
from tsvan.validation import UserError

PRESETS = "paper (default): the published budget; dev: short, one GPU; smoke: a CPU, minutes; demo: what make demo runs"
EPILOG = """also:
  tune_runner.py status --out DIR                      how a study stands: its files, Optuna and MLflow; --repair
  tune_runner.py reproduce RUN_ID                      train a logged run again from its own artifacts
  tune_runner.py settings [--dataset NAME]             what a space may hold: type, published value, meaning
  tune_runner.py add --out DIR lambda2=5 ngf=32        while it runs: a trial with these settings, next
  tune_runner.py stop --out DIR 7                      while it runs: end trial 7 with its last score
  tune_runner.py pause|resume --out DIR                while it runs: let go of the machine, and go on
  tune_runner.py workers --out DIR 2                   while it runs: so many trials at a time

examples:
  python tune_runner.py --dataset vox --preset smoke   a whole small study on stand-in clips, minutes on a CPU
  python tune_runner.py --dataset vox --dry-run        plan, cost, and what is missing

exit codes: 0 done; 1 no usable trial; 2 wrong use or missing data; 3 the Ray cluster is lost, the
state is saved; 130 interrupted, the state is saved"""


_MOST_HOURS = 100_000


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse wrong use as any other, with a UserError."""
        raise UserError(f"{message}; see {self.prog} --help")


def _path(text: str) -> Path:
    """Read a path of the command line. Refuse an empty one, as of an unset variable: it would be the current folder."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no path; name a file or a folder")
    return Path(text)


def _hours(text: str) -> float:
    """Read hours of the command line: a positive number."""
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= _MOST_HOURS:
        text = f"{text!r} must be a number above 0, at most {_MOST_HOURS:,}, as in --hours 48"
        raise argparse.ArgumentTypeError(text)
    return hours


def study_parser() -> argparse.ArgumentParser:
    """Build the parser of a study."""
    parser = _Parser(
        prog="tune_runner.py",
        description="Sweep TwoStreamVAN or its rival, from clips to final numbers.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", required=True, metavar="NAME", help=f"{', '.join(DATASETS)}, or the YAML of your own")
    add("--model", default=FIRST_MODEL, metavar="NAME", help=f"{' or '.join(MODELS)} (default: {FIRST_MODEL})")
    add("--preset", default="paper", metavar="NAME", help=PRESETS)
    clips = "a clip store, or a folder of raw videos (default: data/DATASET)"
    add("--data-root", type=_path, metavar="DIR", help=clips)
    add("--data", choices=["synthetic"], help="drawn stand-in clips in place of real ones")
    add("--out", type=_path, metavar="DIR", help="the study's folder (default: runs/DATASET[-MODEL][-PRESET])")
    add("--trials", metavar="N", help="number of trials")
    hours = "plan trials, iterations and final runs for so many hours, by times measured here, and keep to them"
    add("--hours", type=_hours, metavar="H", help=hours)
    add("--seed", metavar="N", help="the study's seed")
    add("--calibrate", metavar="N", help="first train the published row with N seeds, to know the noise between seeds")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="any key of the sweep config; can be repeated")
    add("--config", type=_path, metavar="FILE", help="a sweep config in place of the one that ships")
    add("--resume", action="store_true", help="go on with the study (the same command again does so, too)")
    add("--dry-run", action="store_true", help="print plan, cost and what is missing; start and write nothing")
    add("--final-from", type=_path, metavar="FILE", help="no sweep: train and score the config in FILE")
    earlier = "studies whose best settings are tried first; where scores compare, the sampler knows their trials"
    add("--warm-start", type=_path, nargs="+", default=[], metavar="DIR", help=earlier)
    add("--rival", type=_path, metavar="DIR", help="a finished study, as of another --model, to set beside this one")
    stored = "a database for the Optuna study (default: OPTUNA_STORAGE, else study.db in --out, which `folder` means)"
    add("--storage", metavar="URL", help=stored)
    add(
        "--tracking-uri", metavar="URI", help="MLflow server or store (default: MLFLOW_TRACKING_URI, else beside --out)"
    )
    add("--experiment", metavar="NAME", help="MLflow's (default: MLFLOW_EXPERIMENT_NAME, else tsvan-DATASET)")
    add("--model-name", metavar="NAME", help="of the registered model (default: tsvan-DATASET)")
    add("--address", metavar="ADDRESS", help="an existing Ray cluster (default: RAY_ADDRESS, else one of its own)")
    add("--workers", metavar="N", help="trials at a time (default: as many as fit)")
    add("--gpus-per-trial", metavar="SHARE", help="a fraction of a GPU, or auto")
    add(
        "--allow-weak-objective",
        action="store_true",
        help="start though the objective hardly tells broken clips from real ones; it is said wherever its scores are",
    )
    add("--allow-slow", action="store_true", help="start a paper's budget on a CPU all the same")
    return parser


def reproduce_parser() -> argparse.ArgumentParser:
    """Build the parser of `reproduce`."""
    parser = _Parser(prog="tune_runner.py reproduce", description="Train a logged run again.")
    parser.add_argument("run_id", metavar="RUN_ID", help="of a trial or a final rerun in MLflow")
    parser.add_argument("--out", type=_path, metavar="DIR", help="where to (default: runs/reproduce-RUN_ID)")
    parser.add_argument("--tracking-uri", metavar="URI", help="default: MLFLOW_TRACKING_URI, else runs/mlflow.db")
    parser.add_argument("--device", metavar="NAME", help="auto, cpu or cuda (default: the run's own, else the CPU)")
    return parser


def settings_parser() -> argparse.ArgumentParser:
    """Build the parser of `settings`."""
    parser = _Parser(prog="tune_runner.py settings", description="List what --set space.NAME and train.NAME take.")
    parser.add_argument("--dataset", metavar="NAME", help="whose published values (default: those of all that ship)")
    parser.add_argument("--model", default=FIRST_MODEL, metavar="NAME", help=f"{' or '.join(MODELS)}")
    parser.add_argument("--markdown", action="store_true", help="as the table of docs/settings.md")
    return parser


def status_parser() -> argparse.ArgumentParser:
    """Build the parser of `status`."""
    parser = _Parser(prog="tune_runner.py status", description="How a study stands, at work or not. Only looks.")
    parser.add_argument("--out", type=_path, metavar="DIR", required=True, help="the study's folder")
    parser.add_argument("--json", action="store_true", help="the same as JSON")
    parser.add_argument("--repair", action="store_true", help="mend what a crash left in Optuna and MLflow")
    parser.add_argument("--storage", metavar="URL", help="of the Optuna study (default: as the study began)")
    parser.add_argument("--tracking-uri", metavar="URI", help="default: MLFLOW_TRACKING_URI, else beside --out")
    return parser


STEERING = {
    "add": "Add a trial, which runs next.",
    "stop": "End trials with their last score.",
    "pause": "Let running trials save, and run nothing until resume.",
    "resume": "Go on with a study that is paused.",
    "workers": "Change how many trials run at a time.",
}
"""What can be asked of a study while it runs."""


def steering_parser(command: str) -> argparse.ArgumentParser:
    """Build the parser of one of STEERING."""
    about = f"{STEERING[command]} Works while the study runs, and also when no driver is alive."
    parser = _Parser(prog=f"tune_runner.py {command}", description=about)
    parser.set_defaults(command=command)
    parser.add_argument("--out", type=_path, metavar="DIR", required=True, help="the study's folder")
    if command == "add":
        text = "of the space, as lambda2=5; the sampler draws those that are not named"
        parser.add_argument("settings", nargs="+", metavar="SETTING=VALUE", help=text)
    elif command == "stop":
        parser.add_argument("trials", nargs="+", metavar="NUMBER", help="of a trial that has begun, as in trials/007")
    elif command == "workers":
        parser.add_argument("workers", metavar="N", help="trials at a time; auto: as the study's command says")
    return parser
