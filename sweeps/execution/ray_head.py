"""`python -m sweeps.execution.ray_head PARENT ARGUMENT...`: Ray's own command, which ends when its parent does.

A cluster of our own is started by `ray start --head --block`, in a session of its own: a Ctrl-C in the terminal, or a
SIGTERM to the group of the driver (`timeout`, a supervisor), reaches the driver alone, which lets the trials save. When
the driver is killed, the kernel kills this process, and with it Ray's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run Ray's command."""
    parent = int(sys.argv.pop(1))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before
        return
    from ray.scripts.scripts import main as ray_command

    ray_command()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
