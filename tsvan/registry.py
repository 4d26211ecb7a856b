"""The models that can be trained, one entry each: everything else knows none of them by name."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from tsvan.validation import UserError, nearest


@dataclass(frozen=True)
class Entry:
    """One model, by the places of its parts (`module:name`), which are imported when they are needed.

    Args:
        config: its settings with the published values, a `tsvan.run_config.TrainConfig`; without torch.
        implementation: its `tsvan.interface.Model`.
    """

    config: str
    implementation: str


MODELS = {
    "twostreamvan": Entry("tsvan.config:TwoStreamConfig", "tsvan.twostreamvan:MODEL"),
    "mocogan": Entry("tsvan.mocogan.config:MocoganConfig", "tsvan.mocogan.model:MODEL"),
}


def config_class(name: object, where: str = "--model") -> Any:
    """Return the class of a model's settings, one below `tsvan.run_config.TrainConfig`.

    Args:
        name: of the model.
        where: named in errors.

    Raises:
        UserError: there is no such model.
    """
    if not isinstance(name, str) or name not in MODELS:
        raise UserError(f"{where}: unknown model '{name}'; {nearest(str(name), MODELS)}")
    return resolve_name(MODELS[name].config)
