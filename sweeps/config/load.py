"""YAML -> SweepConfig, strict. A dataset's YAML is the whole study of TwoStreamVAN at the paper's budget, and
`models/` holds one for each other model; presets are overlays, with a part for each model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sweeps.config import layers, priors
from sweeps.config.overrides import as_written, read_override
from sweeps.config.rules import checked
from sweeps.config.schema import PRESETS, SweepConfig
from tsvan.data.datasets import DatasetRules, rules
from tsvan.files import shown_path
from tsvan.registry import config_class
from tsvan.run_config import FIRST_MODEL
from tsvan.scoring.own_metrics import settled
from tsvan.settings import settings
from tsvan.validation import UserError, build, flatten, load_yaml, nearest

SHIPPED = Path(__file__).resolve().parents[1]
"""Folder of the sweep configs and presets that ship."""
OWN = "own"
"""Name of the sweep config of datasets that do not ship."""


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
    note: Callable[[str], None] | None = None,
) -> tuple[SweepConfig, str]:
    """Read and validate a dataset's sweep config with a preset and single values over it.

    Args:
        dataset: one of DATASETS, the path of a dataset's YAML, or a dataset.
        preset: one of PRESETS.
        overrides: `key=value`, as `budget.iterations=30` or `train.kernel_layers=2`.
        file: in place of the YAML that ships.
        model: name of the model that is tuned.
        note: told what one layer took out of another, a line each.

    Returns:
        The config, and the file that it came from.

    Raises:
        UserError: anything unknown or wrong, with file, key, value and what to do.
    """
    found = check_names(dataset, preset)
    config_class(model)
    source, say = file or _shipped(found, model), note or (lambda _: None)
    values = load_yaml(source)
    if isinstance(values, dict) and (named := values.get("model", model)) != model:
        raise UserError(f"{shown_path(source)}: model is '{named}', but --model is '{model}'; give --model {named}")
    if isinstance(values, dict) and model != FIRST_MODEL:
        values = {"dataset": found.name, **values, "model": model}
    if isinstance(values, dict) and not found.ships:
        values = {"dataset": found.name, **values, "own_dataset": asdict(found)}
    config = checked(_with_layer({}, values, shown_path(source), model, say), shown_path(source))
    if config.dataset != found.name:
        raise UserError(
            f"{shown_path(source)}: dataset is '{config.dataset}', but --dataset is '{found.name}'; change one of them"
        )
    presets = SHIPPED / "presets"
    for overlay in filter(Path.exists, (presets / f"{preset}.yaml", presets / model / f"{preset}.yaml")):
        config = _with_layer(config.to_dict(), load_yaml(overlay), shown_path(overlay), model, say)
    with as_written(overrides or []):
        for where, layer in map(read_override, overrides or []):
            config = _with_layer(config.to_dict(), layer, where, model, say)
        # Rules between keys hold for the whole: two overrides may be right only together.
        where = " ".join(f"--set {text}" for text in overrides or []) or shown_path(overlay)
        return checked(config, where), shown_path(source)


def asked_keys(overrides: list[str] | None, file: Path | None) -> list[str]:
    """List the keys that a command line sets, one by one or by a file of its own, as `fixed.mask`."""
    asked = [layer for _, layer in map(read_override, overrides or [])]
    asked += [load_yaml(file)] if file is not None else []
    return [key for layer in map(layers.normalised, asked) if isinstance(layer, dict) for key in flatten(layer)]


def _shipped(dataset: DatasetRules, model: str) -> Path:
    """Return the YAML that ships: the first model has one for each dataset; another's is the same for all."""
    if model != FIRST_MODEL:
        return SHIPPED / "models" / f"{model}.yaml"
    return SHIPPED / f"{dataset.name if dataset.ships else OWN}.yaml"


def _with_layer(base: dict[str, Any], layer: Any, where: str, model: str, note: Callable[[str], None]) -> SweepConfig:
    """Lay one file's or option's values over what is there, and validate them one by one."""
    merged = layers.laid_over(base, layers.normalised(layer), settings(model))
    for line in layers.unfix_swept(merged, layer, config_class(model)):
        note(f"{line} ({where})")
    config = build(SweepConfig, merged, where)
    if config.metrics:
        config = _with_metrics(config, layer, where)
    known = settings(model)
    space = {name: priors.typed(prior, known[name]) if name in known else prior for name, prior in config.space.items()}
    return replace(config, space=space)


def _with_metrics(config: SweepConfig, layer: Any, where: str) -> SweepConfig:
    """Ask the user's own metrics what they are, and give an objective that is one of them its direction."""
    try:
        metrics = {name: entry if entry.source else settled(name, entry) for name, entry in config.metrics.items()}
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    values = replace(config, metrics=metrics).to_dict()
    layers.direct_own(values, layer)
    return build(SweepConfig, values, where)
