"""`python -m tsvan`: train, sample and score without a sweep; prepare data."""

from __future__ import annotations

import argparse
import sys

from tsvan.commands import score, train
from tsvan.commands.data import add_commands as add_data_commands
from tsvan.terminal import guard_output, say
from tsvan.validation import UserError, one_line


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 1 the run diverged, 2 wrong use or missing data, 130 interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m tsvan", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    train.add_commands(subparsers)
    score.add_commands(subparsers)
    add_data_commands(subparsers)
    args = parser.parse_args(arguments)
    try:
        return int(args.run(args))
    except UserError as error:
        say(f"error: {one_line(error)}")
        return 2
    except KeyboardInterrupt:
        say("interrupted")
        return 130


if __name__ == "__main__":
    guard_output()
    sys.exit(main())
