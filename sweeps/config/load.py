"""YAML -> SweepConfig, strict. A dataset's YAML is the whole study at the paper's budget; presets are overlays."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, cast

from sweeps.config.rules import checked
from sweeps.config.schema import PRESETS, SweepConfig
from tsvan.config import DATASETS
from tsvan.data.datasets import rules
from tsvan.files import shown_path
from tsvan.validation import UserError, build, load_yaml, nearest, parse_value

SHIPPED = Path(__file__).resolve().parents[1]
"""Folder of the sweep configs and presets that ship."""


_DEEPEST = 8


def check_names(dataset: str, preset: str) -> None:
    """Raises UserError for an unknown dataset or preset, with the nearest."""
    if dataset not in DATASETS:
        raise UserError(f"unknown dataset '{dataset}'; {nearest(dataset, DATASETS)}")
    if preset not in PRESETS:
        raise UserError(f"unknown preset '{preset}'; {nearest(preset, PRESETS)}")


def load(
    dataset: str, preset: str = "paper", overrides: list[str] | None = None, file: Path | None = None
) -> tuple[SweepConfig, str]:
    """Read and validate a dataset's sweep config with a preset and single values over it.

    Args:
        dataset: one of DATASETS.
        preset: one of PRESETS.
        overrides: `key=value`, as `budget.iterations=30` or `train.kernel_layers=2`.
        file: in place of the YAML that ships.

    Returns:
        The config, and the file that it came from.

    Raises:
        UserError: anything unknown or wrong, with file, key, value and what to do.
    """
    check_names(dataset, preset)
    source = file or SHIPPED / f"{dataset}.yaml"
    values = load_yaml(source)
    if isinstance(values, dict) and "objective" not in values:
        values = {**values, "objective": _usual_objective(dataset)}
    config = checked(build(SweepConfig, values, shown_path(source)), shown_path(source))
    if config.dataset != dataset:
        raise UserError(
            f"{shown_path(source)}: dataset is '{config.dataset}', but --dataset is '{dataset}'; change one of them"
        )
    overlay = SHIPPED / "presets" / f"{preset}.yaml"
    config = build(SweepConfig, _merge(config.to_dict(), load_yaml(overlay)), shown_path(overlay))
    for where, layer in map(_override, overrides or []):
        config = build(SweepConfig, _merge(config.to_dict(), layer), where)
    # Rules between keys hold for the whole: two overrides may be right only together.
    where = " ".join(f"--set {text}" for text in overrides or []) or shown_path(overlay)
    return checked(config, where), shown_path(source)


def _usual_objective(dataset: str) -> dict[str, str]:
    """Actions tell how recognisable a clip is; without them the distance to real clips decides."""
    if rules(dataset).scoring == "speaker_step":
        return {"metric": "kernel_distance", "direction": "minimize"}
    return {"metric": "inception_score", "direction": "maximize"}


def _override(text: str) -> tuple[str, dict[str, Any]]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"--set {text}: expected key=value, as in --set budget.iterations=30")
    parts = key.strip().split(".")
    if parts[0] in ("dataset", "preset"):
        raise UserError(f"--set {text}: use --{parts[0]}")
    if parts[0] == "train" or parts[0] == "fixed":  # a training setting, by its own name or with its section
        parts = ["fixed", ".".join(parts[1:])]
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
