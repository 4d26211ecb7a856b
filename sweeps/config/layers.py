"""How the values of one file or option are laid over those of another, as plain values."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, cast

from sweeps.config import priors
from tsvan.run_config import TrainConfig
from tsvan.scoring.metrics import METRICS
from tsvan.settings import Setting

_CHOSEN = {"sampler": ("kind", "startup_trials"), "scheduler": ("kind", "rungs", "reduction")}
"""Sections that name a class, and the keys that are ours; others are keywords of the class."""
_KEYWORDS = "keywords"


def normalised(values: Any) -> Any:
    """Write what has a short form in full: an objective by its name, a class with its keywords beside it."""
    if not isinstance(values, dict):
        return values  # wrong: validation names it
    full = dict(values)
    for key in ("objective", "second_objective"):
        given = {"metric": full[key]} if isinstance(full.get(key), str) else full.get(key)
        if isinstance(given, dict) and isinstance(given.get("metric"), str):
            entry = METRICS.get(given["metric"])  # one of the user's own gets its direction when that is known
            full[key] = given if entry is None else {"direction": entry.direction, **given}
    if isinstance(full.get("metrics"), dict):
        full["metrics"] = {
            name: {"function": entry} if isinstance(entry, str) else entry for name, entry in full["metrics"].items()
        }
    for key, own in _CHOSEN.items():
        given = {"kind": full[key]} if isinstance(full.get(key), str) else full.get(key)
        if isinstance(given, dict):
            full[key] = _with_keywords(given, own)
    return full


def laid_over(base: Mapping[str, Any], layer: Any, known: Mapping[str, Setting]) -> Any:
    """Lay a layer over what is there.

    Mappings are merged, other values replaced. In the space `null` drops a setting, and a range takes the place of
    values. Another class leaves the keywords of the one before behind; a keyword that is `null` is dropped.

    Args:
        base: plain values.
        layer: plain values, as `normalised` gives them.
        known: settings of the model, by name.
    """
    if not isinstance(layer, dict):
        return layer  # wrong: validation names it
    merged = _merge({key: value for key, value in base.items() if key != "space"}, layer)
    if isinstance(layer.get("metrics"), dict):
        merged["metrics"] = _metrics(base.get("metrics", {}), layer["metrics"])
    merged["space"] = _space(base.get("space", {}), layer.get("space", {}), known)
    for key in _CHOSEN:
        new = layer.get(key)
        if not isinstance(new, dict) or not isinstance(merged.get(key), dict):
            continue
        if "kind" in new and new["kind"] != (base.get(key) or {}).get("kind", new["kind"]):
            merged[key][_KEYWORDS] = new.get(_KEYWORDS, {})
        keywords = merged[key].get(_KEYWORDS)
        if isinstance(keywords, dict):
            merged[key][_KEYWORDS] = {name: value for name, value in keywords.items() if value is not None}
    return merged


def unfix_swept(merged: Any, layer: Any, model: type[TrainConfig]) -> list[str]:
    """Take out of `fixed` what a layer sweeps, in place.

    Returns:
        A line for each setting that was taken out.
    """
    space = layer.get("space") if isinstance(layer, dict) else None
    fixed = merged.get("fixed") if isinstance(merged, dict) else None
    if not isinstance(space, dict) or not isinstance(fixed, dict):
        return []
    swept = {model.stand_ins.get(name, name): name for name, prior in space.items() if prior is not None}
    lines = []
    for name in [name for name in fixed if isinstance(name, str) and name.rpartition(".")[2] in swept]:
        by = swept[name.rpartition(".")[2]]
        lines.append(f"space.{by} sweeps it, so that fixed.{name}={fixed.pop(name)} no longer counts")
    return lines


def direct_own(merged: Any, layer: Any) -> None:
    """Give objectives that are metrics of the user's own their direction, in place, unless a layer says it."""
    for key in ("objective", "second_objective"):
        objective, said = merged.get(key), layer.get(key) if isinstance(layer, dict) else None
        if not isinstance(objective, dict) or (isinstance(said, dict) and "direction" in said):
            continue
        entry = merged["metrics"].get(objective.get("metric"))
        if entry is not None:
            merged[key] = {**objective, "direction": entry["direction"]}


def _metrics(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    """Lay metrics over metrics: `null` drops one, and another function is another metric as a whole."""
    metrics = {name: entry for name, entry in base.items() if layer.get(name, entry) is not None}
    return {**metrics, **{name: entry for name, entry in layer.items() if entry is not None}}


def _space(base: Mapping[str, Any], layer: Any, known: Mapping[str, Setting]) -> Any:
    if layer is None:
        return {}
    if not isinstance(layer, dict):
        return layer
    space = copy.deepcopy(dict(base))
    for name, prior in layer.items():
        if prior is None and name in known:
            space.pop(name, None)
        else:  # an unknown one is named by the rules
            space[name] = {} if prior is None else priors.laid_over(space.get(name), prior)
    return space


def _with_keywords(given: dict[str, Any], own: tuple[str, ...]) -> dict[str, Any]:
    beside = {name: value for name, value in given.items() if name not in (*own, _KEYWORDS)}
    if not beside:
        return given
    inner = given.get(_KEYWORDS)
    ours = {name: value for name, value in given.items() if name not in beside}
    return {**ours, _KEYWORDS: {**inner, **beside} if isinstance(inner, dict) else beside}


def _merge(base: Mapping[str, Any], layer: Any) -> dict[str, Any]:
    if not isinstance(layer, dict):
        return cast(dict[str, Any], layer)  # wrong on purpose: validation names it
    merged = copy.deepcopy(dict(base))
    for key, value in layer.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged
