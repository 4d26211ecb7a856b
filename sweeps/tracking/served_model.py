"""The registered model: label (and seed) in, uint8 clip out. MLflow runs this file when it loads the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import torch


class ClipModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]
    """Generates one clip a row."""

    def load_context(self, context: Any) -> None:
        """Read the checkpoint on the CPU."""
        from tsvan.checkpoint import load

        checkpoint = load(Path(context.artifacts["checkpoint"]))
        self.num_classes = len(checkpoint.classes)
        self.networks = checkpoint.build_networks(torch.device("cpu"))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
        """Generate a clip for each row.

        Args:
            context: MLflow's.
            model_input: column `label` in [0, K), and optionally `seed`, one row a clip; without it the row's number.
            params: none.

        Returns:
            (N, 10, 64, 64, 3) uint8.
        """
        from tsvan.sampling import generate
        from tsvan.video import to_uint8

        labels = model_input["label"].to_numpy(np.int64, copy=True)
        if len(labels) and not (labels.min() >= 0 and labels.max() < self.num_classes):
            raise ValueError(f"label must be from 0 to {self.num_classes - 1}, got {labels.tolist()}")
        default = pd.Series(np.arange(len(labels)))
        seeds = model_input.get("seed", default)
        values = seeds.fillna(default).to_numpy(np.int64, copy=True)
        clips = [to_uint8(batch) for batch in generate(self.networks, values, labels)]
        return np.concatenate(clips) if clips else np.zeros((0, 10, 64, 64, 3), np.uint8)


mlflow.models.set_model(ClipModel())
