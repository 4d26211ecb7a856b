"""The trainer."""

import os

# Before PyTorch loads its threads, in every process: threads that wait must not spin where others need the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
