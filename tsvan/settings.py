"""The settings of a model's training run as a catalogue: what each may be, its published value and its meaning.

The one source is the dataclass of the settings: types and bounds are those that a config is checked by, meanings are
the lines of its docstrings. Nothing here imports torch.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Literal, get_type_hints

from pydantic import TypeAdapter

from tsvan.registry import config_class
from tsvan.run_config import TrainConfig

Kind = Literal["number", "whole number", "true or false", "one of"]

_KINDS: dict[str, Kind] = {"number": "number", "integer": "whole number", "boolean": "true or false"}
_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Setting:
    """A setting of a training run, or what a search space draws in place of one.

    Args:
        name: unique among a model's settings.
        section: that holds it; empty: the top.
        kind: what it is.
        choices: of `one of`, all of them.
        bounds: of a number, as `>= 0, < 1`; empty: none.
        meaning: what it does, in a line.
    """

    name: str
    section: str
    kind: Kind
    choices: tuple[str, ...]
    bounds: str
    meaning: str

    @property
    def type_words(self) -> str:
        """Return what the setting may be, in words."""
        if self.kind == "one of":
            return " or ".join(self.choices)
        return f"{self.kind} {self.bounds}".strip()


@cache
def settings(model: str) -> Mapping[str, Setting]:
    """List the settings of a model by name, in the order of their sections, then what stands in for one.

    Raises:
        UserError: there is no such model.
    """
    cls: type[TrainConfig] = config_class(model)
    schema = TypeAdapter(cls).json_schema()
    hints = get_type_hints(cls)
    found: dict[str, Setting] = {}
    for place in fields(cls):  # type: ignore[arg-type]
        inner = hints[place.name]
        if isinstance(inner, type) and is_dataclass(inner):
            meanings, known = _meanings(inner), schema["$defs"][inner.__name__]["properties"]
            for item in fields(inner):
                found[item.name] = _setting(item.name, place.name, known[item.name], meanings)
        else:
            meanings = {**_meanings(TrainConfig), **_meanings(cls)}
            found[place.name] = _setting(place.name, "", schema["properties"][place.name], meanings)
    for name in cls.stand_ins:
        meaning = cls.stand_in_meanings.get(name, "")
        found[name] = Setting(name, "", "number", (), "> 0", meaning)
    return found


def _setting(name: str, section: str, schema: Mapping[str, Any], meanings: Mapping[str, str]) -> Setting:
    options = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    main = options[0]
    kind = _KINDS.get(main.get("type", ""), "one of")
    choices = tuple(map(str, main.get("enum", ()))) if kind == "one of" else ()
    bounds = ", ".join(f"{sign} {main[key]:g}" for key, sign in _BOUNDS.items() if key in main)
    return Setting(name, section, kind, choices, bounds, meanings.get(name, ""))


def _meanings(cls: type[Any]) -> dict[str, str]:
    """Read the lines under `Args:` of a docstring: name -> meaning."""
    _, _, listed = inspect.cleandoc(cls.__doc__ or "").partition("Args:\n")
    found: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if not line.startswith("    "):
            break
        if begins := re.match(r" {4}(\w+(?:, \w+)*): (.*)", line):
            names, text = begins.groups()
            name = names
            found.update(dict.fromkeys(names.split(", "), text))
        else:
            found.update({one: f"{found[one]} {line.strip()}" for one in name.split(", ")})
    return found
