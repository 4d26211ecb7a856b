"""Training the scoring classifier once for a clip store, and finding it again by content."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tsvan.data.batches import FrameReader
from tsvan.data.store import ClipStore
from tsvan.files import Progress, hash_json, replacing
from tsvan.models.precision import full
from tsvan.scoring.classifier import (
    Scorer,
    from_state,
    mean_accuracy,
    new_classifier,
    to_state,
    weights_hash,
)
from tsvan.scoring.config import ScorerConfig, identity
from tsvan.scoring.labels import UNASKED, Scheme, scheme
from tsvan.scoring.windows import Window, held_out_windows, iterations_per_epoch, load, training_windows
from tsvan.validation import UserError, first_line

FORMAT_VERSION = 2


def scorer_path(store: ClipStore, config: ScorerConfig, cache_dir: Path) -> Path:
    """Return the path where the scorer of a store and config is, or will be."""
    key = hash_json({"format": FORMAT_VERSION, "store": store.content_hash, "config": identity(config)})
    return cache_dir / f"{key[:32]}.pt"


def trained_configs(store: ClipStore, cache_dir: Path) -> list[ScorerConfig]:
    """List how the scorers of a store were trained that are there already, the newest first.

    Raises:
        UserError: a file is damaged.
    """
    files = [file for file in cache_dir.glob("*.pt") if "." not in file.stem]  # not those under way, nor references
    files.sort(key=lambda file: -file.stat().st_mtime)
    scorers = (_read(file, torch.device("cpu")) for file in files)
    return [scorer.config for scorer in scorers if scorer.store_hash == store.content_hash]


def train_or_load(
    store: ClipStore,
    config: ScorerConfig,
    cache_dir: Path,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Scorer:
    """Return a store's scorer: loaded when it was trained before, continued when its training was interrupted.

    Deterministic on the CPU given the config's seed and the number of threads.

    Args:
        store: train split to learn from, test split to choose the iteration by.
        config: see ScorerConfig.
        cache_dir: folder of `<key>.pt`; the key hashes the store's content, the config and the format.
        device: where to train, and where the returned network is.
        progress: told (iteration, iterations).

    Raises:
        UserError: nothing is held out, training diverged, or a cached file is damaged.
    """
    device = torch.device(device)
    path = scorer_path(store, config, cache_dir)
    if path.exists():
        return _read(path, device)
    partial = path.with_suffix(".partial.pt")
    run = _Run(store, config, scheme(store, config), device)
    if partial.exists():
        run.load(partial)
    scorer = _finish(run, progress, partial)
    with replacing(path) as temporary:
        torch.save(to_state(scorer), temporary)
    partial.unlink(missing_ok=True)
    return scorer


def train(
    store: ClipStore,
    config: ScorerConfig,
    questions: Scheme,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> Scorer:
    """Train a scorer that answers other questions than its dataset's own (`labels.scheme`); nothing is written.

    Raises:
        UserError: training diverged.
    """
    return _finish(_Run(store, config, questions, torch.device(device)), progress)


def _finish(run: _Run, progress: Progress | None, partial: Path | None = None) -> Scorer:
    """Train to the end; at each evaluation `partial` is saved."""
    while not run.finished:
        run.iterate()
        if progress is not None:
            progress(run.iteration, run.last)
        if run.iteration % run.config.eval_every == 0 or run.finished:
            run.evaluate()
            if partial is not None and not run.finished:
                run.save(partial)
    return run.scorer()


@dataclass(frozen=True)
class _Kept:
    """The best iteration so far."""

    iteration: int
    accuracies: dict[str, float]
    loss: float
    weights: dict[str, Tensor]


class _Run:
    """One training: network, optimiser, iteration, and the best so far. All draws are functions of the iteration."""

    def __init__(self, store: ClipStore, config: ScorerConfig, questions: Scheme, device: torch.device) -> None:
        self.store, self.config, self.scheme, self.device = store, config, questions, device
        self.clips = store.split("train")
        self.held_out = held_out_windows(store, self.scheme)
        self.reader = FrameReader(store, device)
        self.network = new_classifier(self.scheme, config).to(device).train()
        self.optimiser = torch.optim.Adam(
            self.network.parameters(),
            lr=config.lr,
            betas=(config.beta1, config.beta2),
            weight_decay=config.weight_decay,
        )
        self.iteration = 0
        self.best: _Kept | None = None
        self.now: _Kept | None = None
        self.per_epoch = iterations_per_epoch(len(self.clips), config)
        self.last = min(config.iterations, _iterations_until_still(config, self.per_epoch))

    @property
    def finished(self) -> bool:
        return self.iteration >= self.last

    def iterate(self) -> None:
        """Take one step of Adam at the epoch's rate on one batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.lr * self.config.lr_decay ** (self.iteration // self.per_epoch)
        windows = training_windows(self.clips, self.store.side, self.scheme, self.config, self.iteration)
        clips = load(self.reader, windows)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
            _, logits = self.network(clips)
        loss = _loss([full(values) for values in logits], _answers(self.scheme, windows, self.device))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.iteration += 1

    def evaluate(self) -> None:
        """Measure the held-out accuracy; keep the weights if it is the best, or as good at a lower held-out loss.

        Raises:
            UserError: the loss is not finite.
        """
        accuracies, loss = _held_out(self)
        if not math.isfinite(loss):
            raise UserError(
                f"the scorer's training diverged by iteration {self.iteration} (held-out loss {loss}); lower its lr, "
                f"now {self.config.lr:g}"
            )
        weights = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
        self.now = _Kept(self.iteration, accuracies, loss, weights)
        if self.best is None or _rank(self.now) > _rank(self.best):
            self.best = self.now

    def save(self, path: Path) -> None:
        """Write enough to go on after a death."""
        assert self.now is not None
        assert self.best is not None
        state = {
            "iteration": self.iteration,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "now": vars(self.now),
            "best": vars(self.best),
        }
        with replacing(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        """Read what `save` wrote, and go on from it."""
        state = _load_file(path)
        self.iteration = state["iteration"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.now, self.best = _Kept(**state["now"]), _Kept(**state["best"])

    def scorer(self) -> Scorer:
        """Return the scorer of the best iteration, with the last one's accuracies beside it."""
        assert self.now is not None
        assert self.best is not None
        self.network.load_state_dict(self.best.weights)
        self.network.eval().requires_grad_(False)
        return Scorer(
            network=self.network,
            scheme=self.scheme,
            config=self.config,
            dataset=self.store.dataset,
            store_hash=self.store.content_hash,
            accuracies=self.best.accuracies,
            last_accuracies=self.now.accuracies,
            best_iteration=self.best.iteration,
            iterations=self.iteration,
            hash=weights_hash(self.best.weights, self.scheme, self.config),
        )


def _rank(kept: _Kept) -> tuple[float, float]:
    return mean_accuracy(kept.accuracies), -kept.loss


def _iterations_until_still(config: ScorerConfig, per_epoch: int) -> int:
    """Count the iterations until the learning rate has decayed below its least share."""
    if config.lr_decay == 1 or config.min_lr_share == 0:
        return config.iterations
    return per_epoch * math.ceil(math.log(config.min_lr_share) / math.log(config.lr_decay))


def _held_out(run: _Run) -> tuple[dict[str, float], float]:
    """Measure each head's accuracy, as a mean over classes of the share of right windows, and a window's mean loss."""
    right: list[dict[int, list[bool]]] = [defaultdict(list) for _ in run.scheme.heads]
    total = 0.0
    run.network.eval()
    with torch.inference_mode():
        for start in range(0, len(run.held_out), run.config.batch_size):
            windows = run.held_out[start : start + run.config.batch_size]
            answers = _answers(run.scheme, windows, run.device)
            _, logits = run.network(load(run.reader, windows))
            total += float(_loss(logits, answers)) * len(windows)
            for found, head_logits, wanted in zip(right, logits, answers, strict=True):
                hits = head_logits.argmax(dim=1) == wanted
                for answer, hit in zip(wanted.tolist(), hits.tolist(), strict=True):
                    if answer != UNASKED:
                        found[answer].append(hit)
    run.network.train()
    accuracies = {
        head.name: sum(sum(hits) / len(hits) for hits in found.values()) / len(found)
        for head, found in zip(run.scheme.heads, right, strict=True)
    }
    return accuracies, total / len(run.held_out)


def _answers(scheme: Scheme, windows: Sequence[Window], device: torch.device) -> list[Tensor]:
    """Return one (B,) tensor of right answers a head, UNASKED where there is none."""
    rows = [scheme.labels(window.clip, window.step) for window in windows]
    return list(torch.tensor(rows, device=device).unbind(dim=1))


def _loss(logits: Sequence[Tensor], answers: Sequence[Tensor]) -> Tensor:
    """Sum over heads the mean cross-entropy of the windows that they are asked of."""
    pairs = zip(logits, answers, strict=True)
    sums = [
        functional.cross_entropy(values, wanted, ignore_index=UNASKED, reduction="sum")
        / (wanted != UNASKED).sum().clamp(min=1)
        for values, wanted in pairs
    ]
    return torch.stack(sums).sum()


def _read(path: Path, device: torch.device) -> Scorer:
    state = _load_file(path)
    try:
        return from_state(state, device)
    except (ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _damaged(path, error) from None


def _load_file(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever zip and pickle raise
        raise _damaged(path, error) from None
    if not isinstance(state, dict):
        raise _damaged(path, "it holds no scorer")
    return state


def _damaged(path: Path, reason: object) -> UserError:
    text = first_line(reason)
    return UserError(f"the cached scorer {path} is damaged: {text}; delete it and run again")
