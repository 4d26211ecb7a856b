"""The study."""

import tsvan  # noqa: F401 - sets how threads wait, before anything loads PyTorch
