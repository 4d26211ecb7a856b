"""Code of the user's own, named as `module:name`: found, imported, and told apart by its source."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from tsvan.files import hash_json
from tsvan.validation import UserError, first_line, nearest


def load_own(spec: str, key: str, folder: Path | None = None) -> Any:
    """Import what `module:name` names.

    Args:
        spec: as `my_metrics:flicker`; the name may have dots.
        key: of the config, named in errors.
        folder: where modules are looked for beside the installed ones; None: the current folder.

    Raises:
        UserError: there is no such module or name, or the module can't be imported.
    """
    module_name, _, name = spec.partition(":")
    if not module_name or not name:
        raise UserError(f"{key}: expected module:name, got '{spec}'; as in my_module:my_name")
    where = str((folder or Path.cwd()).resolve())
    if where not in sys.path:
        sys.path.append(where)  # after all else: a file of the user's hides none of the program's modules
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise UserError(f"{key}: {module_name} needs the module '{error.name}'; install it") from None
        text = f"no module '{module_name}' in {where} or among those that are installed"
        raise UserError(f"{key}: {text}; start in the folder of {module_name.partition('.')[0]}.py") from None
    except Exception as error:  # whatever a user's module raises
        raise UserError(f"{key}: {module_name} can't be imported: {_what(error)}; mend it") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise UserError(f"{key}: no '{part}' in {spec}; {nearest(part, _public(found))}")
        found = getattr(found, part)
    return found


def source_hash(thing: Any) -> str:
    """Hash the file that a function or class of the user's was written in, so that a change of it is seen."""
    module = inspect.getmodule(thing)
    try:
        source = inspect.getsource(module) if module is not None else ""
    except OSError:
        source = ""  # it has none, as a module written in C
    return hash_json({"name": getattr(thing, "__qualname__", repr(thing)), "source": source})


def _public(holder: Any) -> list[str]:
    return [name for name in dir(holder) if not name.startswith("_")]


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {first_line(error)}"
