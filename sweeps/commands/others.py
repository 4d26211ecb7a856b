"""The commands beside the study itself: `status`, `settings`, `reproduce`, and what steers a study while it runs."""

from __future__ import annotations

from sweeps.commands.arguments import (
    STEERING,
    reproduce_parser,
    settings_parser,
    status_parser,
    steering_parser,
)


def run_other(arguments: list[str]) -> int | None:
    """Run the command that the first argument names; what it needs is imported only then.

    Returns:
        Its exit code; None: the arguments are those of a study.

    Raises:
        UserError: wrong use.
    """
    command, rest = next(iter(arguments), ""), arguments[1:]
    if command in STEERING:
        from sweeps.commands.steer import steer

        return steer(steering_parser(command).parse_args(rest))
    if command == "reproduce":
        from sweeps.commands.reproduce import reproduce

        return reproduce(reproduce_parser().parse_args(rest))
    if command == "status":
        from sweeps.status.command import status

        return status(status_parser().parse_args(rest))
    if command == "settings":
        from sweeps.commands.settings import list_settings

        return list_settings(settings_parser().parse_args(rest))
    return None
