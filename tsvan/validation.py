"""Plain values from YAML or a command line -> frozen dataclasses, with errors that a tired person understands."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from tsvan.yaml_loader import MAX_CHARS, read_yaml

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

T = TypeVar("T")


class UserError(ValueError):
    """Wrong use or missing data: one line for the user, exit code 2, no traceback."""


def first_line(error: object) -> str:
    """Return the first line of an error's text, at most 300 characters of it; without a text, its type's name."""
    text = str(error).strip()
    return text.splitlines()[0].strip()[:300] if text else type(error).__name__


def one_line(text: object) -> str:
    """Return a text as one line that every terminal shows.

    What can't be printed is escaped, the middle of a long one left out.
    """
    words = " ".join(str(text).split())
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in words)
    return line if len(line) <= _LONGEST_LINE else f"{line[: _LONGEST_LINE // 2]} ... {line[-_LONGEST_LINE // 2 :]}"


_LONGEST_LINE = 1200


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested settings by their path, as `budget.iterations`; an empty mapping is left out."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat


def nearest(name: str, known: Iterable[str]) -> str:
    """Say "did you mean 'x'?" when something is close, else list what is known."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=1) or [word for word in known if name.startswith(word)]
    return f"did you mean '{close[0]}'?" if close else f"known: {', '.join(known)}"


def build(cls: type[T], values: Any, where: str) -> T:
    """Validate plain values into a pydantic dataclass.

    Args:
        cls: the dataclass.
        values: nested mapping.
        where: file or option, named in errors.

    Raises:
        UserError: the first thing that is wrong, with file, key, value and the nearest valid name.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected a mapping of settings, got {_short(values)}")
    try:
        # As JSON: only there does strict validation accept a mapping for a dataclass and a list for a tuple.
        text = json.dumps(values, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: expected plain YAML values, got {_short(values)} ({error})") from None
    try:
        return cast(T, _adapter(cast(Any, cls)).validate_json(text))
    except ValidationError as error:
        raise UserError(_explain(cls, error, where)) from None


@lru_cache
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    """Make the validator of a dataclass, once: that takes longer than validating."""
    return TypeAdapter(cls)


def load_yaml(path: Path) -> Any:
    """Read one YAML document (safe loader; `1e4` is a number).

    Raises:
        UserError: the file is missing, unreadable, not YAML, or larger than any config.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return read_yaml(file.read(MAX_CHARS + 1))
    except (OSError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise UserError(f"{path} is not valid YAML: {error}; give a text file in UTF-8") from None
        text = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"cannot read {path}: {text}; give the path of a YAML file") from None
    except yaml.YAMLError as error:
        text = " ".join(str(error).replace('in "<unicode string>", line', "in line").split())
        raise UserError(f"{path} is not valid YAML: {text}; mend the file") from None


def parse_value(text: str) -> Any:
    """Read a value from the command line as YAML: `3` is an int, `1e4` a float, `true` a bool; what is none is text."""
    try:
        return read_yaml(text)
    except yaml.YAMLError:
        return text


def _explain(cls: type[Any], error: ValidationError, where: str) -> str:
    details = error.errors(include_url=False)
    first = details[0]
    path = _keys(cls, first["loc"])
    key = ".".join(path)
    kind = first["type"]
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"{where}: unknown key '{key}'; {nearest(path[-1], _fields(cls, path[:-1]))}"
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UserError):
        prefix = f"{key}: " if key else ""
        return f"{where}: {prefix}{cause}"
    if kind == "missing":
        return f"{where}: {key} is missing; add it"
    wanted = dict.fromkeys(_wanted(item) for item in details if _keys(cls, item["loc"]) == path)
    message = f"input should be {' or '.join(wanted)}" if len(path) < len(first["loc"]) else first["msg"]
    return f"{where}: {key}: {message[0].lower()}{message[1:]}, got {_short(first['input'])}"


def _keys(cls: type[Any], location: tuple[int | str, ...]) -> list[str]:
    """List the keys of an error's location, as a person wrote them.

    Pydantic appends which alternative of a union it tried, as `bool`: that is told from a key by the type at its place.
    """
    keys: list[str] = []
    hint: Any = cls
    for part in location:
        options = [option for option in (hint, *get_args(hint)) if option is not type(None)]
        holder = next((option for option in options if _holds(option)), None)
        if holder is None:
            break
        keys.append(str(part))
        if hasattr(holder, "__dataclass_fields__"):
            hint = get_type_hints(holder).get(str(part))
        else:
            inner = [one for one in get_args(holder) if one is not Ellipsis]
            hint = inner[-1] if inner else None
    return keys


def _holds(hint: Any) -> bool:
    """Tell whether what a hint stands for has keys or places of its own."""
    return hasattr(hint, "__dataclass_fields__") or (get_origin(hint) or hint) in (dict, list, tuple)


_NOUNS = {"int_type": "a number", "float_type": "a number", "bool_type": "true or false", "string_type": "text"}


def _wanted(detail: Any) -> str:
    return _NOUNS.get(detail["type"]) or str(detail["msg"]).removeprefix("Input should be ")


def _fields(cls: type[Any], path: list[str]) -> list[str]:
    """List the names of the fields of the dataclass found by walking `path` from `cls`."""
    for part in path:
        hint = get_type_hints(cls).get(part)
        options = [hint, *get_args(hint)]
        cls = next((option for option in options if hasattr(option, "__dataclass_fields__")), cls)
    return list(getattr(cls, "__dataclass_fields__", {}))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
