"""The scoring classifier: D_V's body with one head for each question, and the trained scorer that every score names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from tsvan.models.discriminators import VideoDiscriminator
from tsvan.models.initialise import initialise
from tsvan.scoring.config import ScorerConfig, identity
from tsvan.scoring.labels import Head, Scheme


class Classifier(nn.Module):
    """A network from clips (B, 3, T, 64, 64) to features (B, D) and one tensor of logits (B, K') a head.

    A single head is D_V's own last layer on the feature map; two heads are linear layers on the averaged features.
    """

    def __init__(self, scheme: Scheme, widths: tuple[int, int, int, int]) -> None:
        super().__init__()
        network = VideoDiscriminator(scheme.heads[0].size, widths)
        self.body = network.body
        single = len(scheme.heads) == 1
        self.heads = nn.ModuleList(
            [network.head] if single else [nn.Linear(widths[-1], head.size) for head in scheme.heads]
        )

    def forward(self, clips: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute features and logits; features are the last layer's input averaged over time and space."""
        maps = self.body(clips)  # (B, D, T - 8, 4, 4)
        features = maps.mean(dim=(2, 3, 4))
        if len(self.heads) == 1 and isinstance(self.heads[0], nn.Conv3d):
            return features, [self.heads[0](maps).mean(dim=(2, 3, 4))]
        return features, [head(features) for head in self.heads]


@dataclass(frozen=True)
class Scorer:
    """A trained classifier. Build one with `train_or_load`.

    Args:
        network: in eval mode, on the device it was asked for.
        scheme: its heads.
        config: how it was trained.
        dataset: the dataset's name.
        store_hash: content hash of the clip store that it belongs to.
        accuracies: held-out accuracy of each head at the iteration that was kept (mean over classes of the share of
            right windows, so that long videos and common classes count no more than others).
        last_accuracies: the same at the end of training.
        best_iteration: the iteration that was kept.
        iterations: how many were done.
        hash: SHA-256 over weights and settings, hex; logged with every score.
    """

    network: Classifier
    scheme: Scheme
    config: ScorerConfig
    dataset: str
    store_hash: str
    accuracies: dict[str, float]
    last_accuracies: dict[str, float]
    best_iteration: int
    iterations: int
    hash: str

    @property
    def accuracy(self) -> float:
        """Return the mean accuracy over the heads, which chose the iteration that was kept."""
        return mean_accuracy(self.accuracies)

    @property
    def chances(self) -> dict[str, float]:
        """Return the accuracy of a blind guess at each head."""
        return {head.name: head.chance for head in self.scheme.heads}

    def measure(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        """Map clips (B, 3, T, 64, 64) in [-1, 1] to features (B, D), the first head's p(y|v) (B, K'); float64, CPU."""
        with torch.inference_mode():
            features, logits = self.network(clips.float())
            return features.double().cpu(), logits[0].double().softmax(dim=1).cpu()


def mean_accuracy(accuracies: Mapping[str, float]) -> float:
    """Return the mean over the heads, which selects among iterations."""
    return sum(accuracies.values()) / len(accuracies)


def check_floor(scorer: Scorer, floor: float | None) -> str | None:
    """Tell why a scorer is not good enough to score with, or return None.

    Args:
        scorer: the scorer; each of its heads must reach the floor, but for those that only time can answer: the step at
            which a still face is played cannot be seen by anyone.
        floor: the least accuracy; None: twice chance (or half way from chance to 1, where that is less).
    """
    for head in (head for head in scorer.scheme.heads if not head.of_time):
        least = min(2 * head.chance, (1 + head.chance) / 2) if floor is None else floor
        found = scorer.accuracies[head.name]
        if found < least:
            kind = "twice chance" if floor is None else "the floor"
            return (
                f"the scorer's held-out accuracy for {head.name} is {found:.3f}, below {kind} ({least:.3f}; chance is "
                f"{head.chance:.3f}); train it longer or wider, or lower the floor"
            )
    return None


def new_classifier(scheme: Scheme, config: ScorerConfig) -> Classifier:
    """Build a fresh classifier on the CPU, drawn from the config's seed; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = Classifier(scheme, config.widths)
        initialise(network, "paper")
    return network


def weights_hash(weights: Mapping[str, Tensor], scheme: Scheme, config: ScorerConfig) -> str:
    """Hash weights, heads and settings by SHA-256, hex."""
    heads = asdict(scheme)
    if not scheme.frame_steps:
        del heads["frame_steps"]  # as scorers were hashed before there were any
    digest = hashlib.sha256(json.dumps([identity(config), heads], sort_keys=True).encode())
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def to_state(scorer: Scorer) -> dict[str, Any]:
    """Return tensors and plain values, as `torch.load(weights_only=True)` reads them back for `from_state`."""
    weights = {name: value.cpu() for name, value in scorer.network.state_dict().items()}
    state = {name: getattr(scorer, name) for name in _PLAIN}
    return {**state, "config": asdict(scorer.config), "scheme": asdict(scorer.scheme), "weights": weights}


def from_state(state: dict[str, Any], device: torch.device) -> Scorer:
    """Build the scorer that `to_state` wrote.

    Raises:
        ValueError, KeyError, TypeError, RuntimeError: the state is not one, or was changed.
    """
    config = ScorerConfig(**{**state["config"], **{name: tuple(state["config"][name]) for name in _TUPLES}})
    saved = state["scheme"]
    heads = tuple(Head(**head) for head in saved["heads"])
    scheme = Scheme(heads, saved["num_classes"], tuple(saved["playback"]), tuple(saved.get("frame_steps", ())))
    if weights_hash(state["weights"], scheme, config) != state["hash"]:
        raise ValueError("its weights do not match its hash")
    network = Classifier(scheme, config.widths)
    network.load_state_dict(state["weights"])
    network.to(device).eval().requires_grad_(False)
    return Scorer(network, scheme, config, **{name: state[name] for name in _PLAIN})


_PLAIN = ("dataset", "store_hash", "accuracies", "last_accuracies", "best_iteration", "iterations", "hash")
_TUPLES = ("widths", "playback_steps")
