"""`python -m analysis.user_study`: make a study, serve it, score its answers."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable

from analysis.user_study.arguments import parser
from analysis.user_study.study import StudyFolder, read_study
from tsvan.files import write_atomically
from tsvan.terminal import say
from tsvan.validation import UserError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 2 wrong use or missing data, 130 interrupted."""
    try:
        args = parser().parse_args(arguments)
        _COMMANDS[args.command](args)
    except UserError as error:
        say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _make(args: argparse.Namespace) -> None:
    from analysis.user_study.making import Options, make  # torch takes seconds, and only this command needs it

    record = make(
        Options(
            a=args.a,
            b=args.b,
            name_a=args.name_a,
            name_b=args.name_b,
            out=args.out,
            num_showings=args.pairs,
            per_rater=args.per_rater,
            clips=args.clips,
            seed=args.seed,
            device=args.device,
        )
    )
    folder = StudyFolder(args.out)
    say(f"{len(record.showings)} showings of {len(record.clips)} clips in {folder.page}; the truth: {folder.truth}")
    say(f"collect answers: python -m analysis.user_study serve --study {args.out}")


def _serve(args: argparse.Namespace) -> None:
    from analysis.user_study.server import serve

    serve(StudyFolder(args.study), args.port)


def _score(args: argparse.Namespace) -> None:
    from analysis.user_study.answers import read_answers
    from analysis.user_study.scoring import score
    from analysis.user_study.table import lines, values

    folder = StudyFolder(args.study)
    record = read_study(folder)
    if args.resamples < 2:
        raise UserError(f"--resamples must be 2 or more, got {args.resamples}")
    if args.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {args.seed}")
    collected = [folder.answers] if folder.answers.exists() else []
    answers = read_answers([*collected, *args.answers], record)
    if not answers:
        raise UserError(f"no answers yet in {folder.answers}; collect some with `serve`, or name saved files")
    result = score(record, answers, args.resamples, args.seed)
    print("\n".join(lines(record, result)))
    if args.json:
        write_atomically(args.json, json.dumps(values(record, result, args.seed), indent=1) + "\n")


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"make": _make, "serve": _serve, "score": _score}


if __name__ == "__main__":
    sys.exit(main())
