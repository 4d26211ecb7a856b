"""`tune_runner.py settings`: what can be swept or set, with its type, published value and meaning."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

from sweeps.config.rules import swept_names
from sweeps.config.space import derived
from tsvan.data.datasets import DATASETS, rules
from tsvan.data.published import published
from tsvan.registry import config_class
from tsvan.settings import settings

_HEAD = ("setting", "type", "published", "meaning")
_EPILOG = """
sweep one        --set 'space.lr={low: 1e-5, high: 1e-3, log: true}'
sweep it no more --set space.lr=null
fix one          --set train.lr=1e-4"""
_LEAST = 30
"""Columns of a terminal below which a meaning stands on a line of its own."""


def list_settings(args: argparse.Namespace) -> int:
    """Print the settings of a model, and return the exit code."""
    rows = setting_rows(args.model, list(DATASETS) if args.dataset is None else [args.dataset])
    if args.markdown:
        print("\n".join(markdown(rows)))
        return 0
    widths = [max(len(row[place]) for row in [_HEAD, *rows]) for place in range(3)]
    for row in [_HEAD, *rows]:
        first = "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=False))
        print(_wrapped(first, row[3]) if sys.stdout.isatty() else f"{first}  {row[3]}")
    print(_EPILOG)
    return 0


def setting_rows(model: str, datasets: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """List the settings that a search space may hold.

    Args:
        model: its name.
        datasets: whose published values are shown; where they differ, each with its own.

    Returns:
        Name, type, published value and meaning of each.

    Raises:
        UserError: unknown model or dataset.
    """
    config_class(model)
    runs = {rules(name).name: published(name, model) for name in datasets}
    values = {name: derived(run) for name, run in runs.items()}
    known = settings(model)
    rows = []
    for name in swept_names(next(iter(runs.values()))):
        by_dataset = {dataset: _word(row.get(name)) for dataset, row in values.items()}
        rows.append((name, known[name].type_words, _together(by_dataset), known[name].meaning))
    return rows


def markdown(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    """Make the table of the documents."""
    lines = [f"| {' | '.join(_HEAD)} |", "| --- | --- | --- | --- |"]
    return lines + [f"| `{name}` | {kind} | {value} | {meaning} |" for name, kind, value, meaning in rows]


def _wrapped(first: str, meaning: str) -> str:
    """Wrap a row for the terminal: the meaning beside the rest, or below it where there is no room."""
    columns, indent = shutil.get_terminal_size().columns, len(first) + 2
    if columns - indent >= _LEAST:
        return textwrap.fill(f"{first}  {meaning}", columns, subsequent_indent=" " * indent)
    inset = " " * 4
    return f"{first.rstrip()}\n{textwrap.fill(meaning, columns, initial_indent=inset, subsequent_indent=inset)}"


def _together(values: dict[str, str]) -> str:
    """Say a value of all datasets, or each with the datasets that have it."""
    owners: dict[str, list[str]] = {}
    for dataset, value in values.items():
        owners.setdefault(value, []).append(dataset)
    if len(owners) == 1:
        return next(iter(owners))
    return ", ".join(f"{value} ({', '.join(names)})" for value, names in owners.items())


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
