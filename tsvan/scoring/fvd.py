"""Features of an I3D network that the user gives as a TorchScript file, for the usual Frechet video distance.

The file is executed: it is loaded only when its path is given.

Call signature: `model(clips) -> features`, where clips is (B, 3, T, 224, 224) float32 in [-1, 1], resized bilinearly
here, T = 10 frames as they are sampled, and features is (B, D), floating point. A file with another signature (such as
the common `i3d_torchscript.pt`, which takes keyword switches) is wrapped in a scripted module of this one first.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from tsvan.files import hash_file
from tsvan.validation import UserError, first_line

SIDE = 224


class I3D:
    """A TorchScript feature network.

    Args:
        path: the file; it is executed.
        device: where it runs.

    Raises:
        UserError: no such file, or not TorchScript.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        try:
            self.hash = hash_file(path)
            self._model = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        except OSError as error:
            raise UserError(f"cannot read the I3D file {path}: {error.strerror}; give a TorchScript file") from None
        except RuntimeError as error:
            reason = first_line(error)
            raise UserError(f"the I3D file {path} is not TorchScript: {reason}; save it with torch.jit.save") from None
        self.path = path

    def features(self, clips: Tensor) -> Tensor:
        """Map clips (B, 3, T, H, W) in [-1, 1] to features (B, D), float64 on the CPU.

        Raises:
            UserError: the file returns something else.
        """
        batch, channels, frames, height, width = clips.shape
        flat = clips.float().transpose(1, 2).reshape(batch * frames, channels, height, width)
        large = functional.interpolate(flat, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        with torch.inference_mode():
            result = self._model(large.reshape(batch, frames, channels, SIDE, SIDE).transpose(1, 2))
        if not isinstance(result, Tensor) or result.ndim != 2 or len(result) != batch:
            shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise UserError(f"the I3D file {self.path} must return (B, D) features, got {shape} for B = {batch}")
        return result.double().cpu()
