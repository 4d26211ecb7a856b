"""Passwords out of the command line, which everybody on the machine can read, and which Ray keeps with its jobs."""

from __future__ import annotations

import os
import sys

from sweeps.state.uris import has_secrets, shown_uri

VARIABLES = {"--storage": "OPTUNA_STORAGE", "--tracking-uri": "MLFLOW_TRACKING_URI"}
"""Option -> the variable that holds its address as well."""


def hide_passwords() -> None:
    """Replace this process by the same command whose addresses hold no password, if one does: the environment, which
    nobody else can read, has the whole ones then."""
    arguments, found = without_passwords(sys.orig_argv)
    if found:
        os.execve(sys.executable, arguments, {**os.environ, **found})


def without_passwords(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return a command line whose addresses hold no password, and the variables that do."""
    shown, found = list(arguments), {}
    for place, argument in enumerate(arguments):
        option, equals, address = argument.partition("=")
        if not equals:
            option, address = (arguments[place - 1] if place else ""), argument
        variable = _variable(option)
        if variable is not None and has_secrets(address):
            found[variable] = address
            shown[place] = f"{option}=" * bool(equals) + shown_uri(address)
    return shown, found


def _variable(option: str) -> str | None:
    """Return the variable of an option, which may be cut short."""
    names = [variable for name, variable in VARIABLES.items() if len(option) > 3 and name.startswith(option)]
    return names[0] if names else None
