"""YAML -> SweepConfig, strict. A dataset's YAML is the whole study of TwoStreamVAN at the paper's budget, and
`models/` holds one for each other model; presets are overlays, with a part for each model."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from sweeps.config.rules import checked
from sweeps.config.schema import PRESETS, SweepConfig
from tsvan.data.datasets import DatasetRules, rules
from tsvan.files import shown_path
from tsvan.registry import config_class
from tsvan.run_config import FIRST_MODEL
from tsvan.scoring.metrics import METRICS
from tsvan.validation import UserError, build, flatten, load_yaml, nearest, parse_value

SHIPPED = Path(__file__).resolve().parents[1]
"""Folder of the sweep configs and presets that ship."""
OWN = "own"
"""Name of the sweep config of datasets that do not ship."""


_DEEPEST = 8


def check_names(dataset: str | DatasetRules, preset: str) -> DatasetRules:
    """Find the dataset. Refuse an unknown dataset or preset, with a UserError that names the nearest."""
    found = rules(dataset)
    if preset not in PRESETS:
        raise UserError(f"unknown preset '{preset}'; {nearest(preset, PRESETS)}")
    return found


def load(
    dataset: str | DatasetRules,
    preset: str = "paper",
    overrides: list[str] | None = None,
    file: Path | None = None,
    model: str = FIRST_MODEL,
) -> tuple[SweepConfig, str]:
    """Read and validate a dataset's sweep config with a preset and single values over it.

    Args:
        dataset: one of DATASETS, the path of a dataset's YAML, or a dataset.
        preset: one of PRESETS.
        overrides: `key=value`, as `budget.iterations=30` or `train.kernel_layers=2`.
        file: in place of the YAML that ships.
        model: name of the model that is tuned.

    Returns:
        The config, and the file that it came from.

    Raises:
        UserError: anything unknown or wrong, with file, key, value and what to do.
    """
    found = check_names(dataset, preset)
    config_class(model)
    source = file or _shipped(found, model)
    values = load_yaml(source)
    if isinstance(values, dict) and (named := values.get("model", model)) != model:
        raise UserError(f"{shown_path(source)}: model is '{named}', but --model is '{model}'; give --model {named}")
    if isinstance(values, dict) and model != FIRST_MODEL:
        values = {"dataset": found.name, **values, "model": model}
    if isinstance(values, dict) and not found.ships:
        values = {"dataset": found.name, **values, "own_dataset": asdict(found)}
    config = checked(build(SweepConfig, _with_directions(values), shown_path(source)), shown_path(source))
    if config.dataset != found.name:
        raise UserError(
            f"{shown_path(source)}: dataset is '{config.dataset}', but --dataset is '{found.name}'; change one of them"
        )
    presets = SHIPPED / "presets"
    for overlay in filter(Path.exists, (presets / f"{preset}.yaml", presets / model / f"{preset}.yaml")):
        config = build(SweepConfig, _merge(config.to_dict(), _with_directions(load_yaml(overlay))), shown_path(overlay))
    for where, layer in map(_override, overrides or []):
        config = build(SweepConfig, _merge(config.to_dict(), _with_directions(layer)), where)
    # Rules between keys hold for the whole: two overrides may be right only together.
    where = " ".join(f"--set {text}" for text in overrides or []) or shown_path(overlay)
    return checked(config, where), shown_path(source)


def asked_keys(overrides: list[str] | None, file: Path | None) -> list[str]:
    """List the keys that a command line sets, one by one or by a file of its own, as `fixed.mask`."""
    layers = [layer for _, layer in map(_override, overrides or [])]
    layers += [load_yaml(file)] if file is not None else []
    return [key for layer in layers if isinstance(layer, dict) for key in flatten(layer)]


def _shipped(dataset: DatasetRules, model: str) -> Path:
    """Return the YAML that ships: the first model has one for each dataset; another's is the same for all."""
    if model != FIRST_MODEL:
        return SHIPPED / "models" / f"{model}.yaml"
    return SHIPPED / f"{dataset.name if dataset.ships else OWN}.yaml"


def _with_directions(values: Any) -> Any:
    """Add the directions of objectives that are given by their metric's name alone: its entry knows them."""
    if not isinstance(values, dict):
        return values  # wrong: validation names it
    named = dict(values)
    for key in ("objective", "second_objective"):
        given = {"metric": named[key]} if isinstance(named.get(key), str) else named.get(key)
        if isinstance(given, dict) and isinstance(given.get("metric"), str):
            entry = METRICS.get(given["metric"])
            named[key] = {"direction": "maximize" if entry is None else entry.direction, **given}
    return named


def _override(text: str) -> tuple[str, dict[str, Any]]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected key=value, as in --set budget.iterations=30")
    parts = key.strip().split(".")
    if parts[0] in ("dataset", "own_dataset", "model", "preset"):
        raise UserError(f"--set {text}: use --{parts[0].removeprefix('own_')}")
    if parts[0] == "train" or parts[0] == "fixed":  # a training setting, by its own name or with its section
        parts = ["fixed", ".".join(parts[1:])]
    if parts[0] == "scorer":  # as one would say it
        parts = ["scoring", *parts[1:]]
    if len(parts) > _DEEPEST:
        raise UserError(f"--set {text}: no key has more than {_DEEPEST} parts; see {SHIPPED.name}/*.yaml for keys")
    layer: Any = parse_value(value)
    for part in reversed(parts):
        layer = {part: layer}
    return f"--set {text}", layer


def _merge(base: dict[str, Any], layer: Any) -> dict[str, Any]:
    if not isinstance(layer, dict):
        return cast(dict[str, Any], layer)  # wrong on purpose: validation names it
    merged = copy.deepcopy(base)
    for key, value in layer.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
