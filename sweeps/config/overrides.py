"""`--set key=value`: read as a layer of the sweep config, and named in errors as it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tsvan.validation import UserError, parse_value

_DEEPEST = 8
_SAID = {"train": "fixed", "scorer": "scoring"}
"""What a section may be called on the command line, and what it is."""


def read_override(text: str) -> tuple[str, dict[str, Any]]:
    """Read `key=value`.

    Returns:
        What errors call it, and its nested values.

    Raises:
        UserError: it has no such form, or is a key that has an option of its own.
    """
    key, value = _split(text)
    parts = _parts(key)
    if "" in parts:
        raise UserError(
            f"--set {text}: '{key}' has an empty part; expected key=value, as in --set budget.iterations=30"
        )
    if parts[0] in ("dataset", "own_dataset", "model", "preset"):
        raise UserError(f"--set {text}: use --{parts[0].removeprefix('own_')}")
    if len(parts) > _DEEPEST:
        raise UserError(f"--set {text}: no key has more than {_DEEPEST} parts; see sweeps/*.yaml for keys")
    layer: Any = parse_value(value)
    for part in reversed(parts):
        layer = {part: layer}
    return f"--set {text}", layer


@contextmanager
def as_written(overrides: Sequence[str]) -> Iterator[None]:
    """Call the keys in errors what their options call them, as `train.lambda1` where that was written."""
    try:
        yield
    except UserError as error:
        line = str(error)
        for text in overrides:
            key, _ = _split(text)
            section, inner = ".".join(_parts(key)), _SAID.get(key.partition(".")[0])
            if inner is not None:
                line = re.sub(rf"(?<![\w.]){re.escape(section)}(?![\w])", key.replace("\\", r"\\"), line)
        raise UserError(line) from None


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {text}: expected key=value, as in --set budget.iterations=30")
    return key.strip(), value


def _parts(key: str) -> list[str]:
    """List the parts of a key, its section by the name that the config has for it."""
    parts = key.split(".")
    parts[0] = _SAID.get(parts[0], parts[0])
    if parts[0] == "fixed" and len(parts) > 1 and "" not in parts:  # a setting, by its own name or with its section
        parts = ["fixed", ".".join(parts[1:])]
    return parts
