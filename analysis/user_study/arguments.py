"""What the command line of the user study takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from tsvan.validation import UserError

SIDE = (
    "a checkpoint (.pt), the folder of a run or of a finished study, or a folder of videos (.mp4, .gif) named "
    "<class>_<anything>"
)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Refuse wrong use as any other, with a UserError."""
        raise UserError(f"{message}; see {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """Build the parser of all three commands."""
    found = _Parser(prog="python -m analysis.user_study", description="People choose the better of two clips.")
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_make(commands.add_parser("make", help="build the page", description="Build the page with random pairs."))
    _add_serve(commands.add_parser("serve", help="collect answers", description="Serve the page on 127.0.0.1."))
    _add_score(commands.add_parser("score", help="count answers", description="Preference and bootstrap variance."))
    return found


def _add_make(make: argparse.ArgumentParser) -> None:
    add = make.add_argument
    add("--left", "--a", dest="a", type=Path, required=True, metavar="SOURCE", help=SIDE)
    add("--right", "--b", dest="b", type=Path, required=True, metavar="SOURCE", help="the same for the other side")
    add("--name-a", default="A", metavar="NAME", help="what tables call side a; raters never see it")
    add("--name-b", default="B", metavar="NAME", help="the same for the other side")
    add("--out", type=Path, required=True, metavar="DIR", help="the study's folder, made here")
    add("--pairs", type=int, default=2_000, metavar="N", help="pairs shown; half as many, in both orders (2000)")
    add("--per-rater", type=int, default=50, metavar="N", help="pairs that one rater is shown (default: 50)")
    add("--clips", type=int, metavar="N", help="clips of each class and side (default: 10, and 200 over all classes)")
    add("--seed", type=int, default=0, metavar="N", help="of latents, pairs and orders (default: 0)")
    add("--device", default="auto", help="where checkpoints generate: auto, cpu or cuda")


def _add_serve(serve: argparse.ArgumentParser) -> None:
    serve.add_argument("--study", type=Path, required=True, metavar="DIR", help="what `make` made")
    serve.add_argument("--port", type=int, default=8_000, metavar="N", help="0: any free one (default: 8000)")


def _add_score(score: argparse.ArgumentParser) -> None:
    add = score.add_argument
    add("--study", type=Path, required=True, metavar="DIR", help="what `make` made")
    add("answers", type=Path, nargs="*", metavar="FILE", help="files that raters saved, beside answers.jsonl")
    add("--json", type=Path, metavar="FILE", help="write the numbers to this file as well")
    add("--seed", type=int, default=0, metavar="N", help="of the bootstrap (default: 0)")
    add("--resamples", type=int, default=10_000, metavar="N", help="of the bootstrap (default: 10000)")
