"""`python -m sweeps.execution.ray_node ARGUMENT...`: `ray start ... --block` on a machine that may be taken away.

A machine that is taken away (a spot machine, a Slurm job that is requeued, a pod that is moved) gets SIGTERM, often in
all its processes, and some seconds. Ray's own end at once then, and the workers with them. Here none of them hears it
but the workers of trials, which save and leave; then the node ends.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

import psutil  # type: ignore[import-untyped]


def main(arguments: list[str]) -> int:
    """Run a node until it ends or is to end.

    Args:
        arguments: of `ray start`.

    Returns:
        Exit code: Ray's own; 0 after a SIGTERM.
    """
    # Processes inherit what is blocked; the workers of trials unblock it (sweeps/execution/worker.py).
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", *arguments, "--block"]
    process = subprocess.Popen(command)
    try:
        while process.poll() is None:
            if signal.sigtimedwait({signal.SIGTERM}, 0.5) is not None:
                let_workers_save(psutil.Process(process.pid))
                return 0
        return process.returncode
    finally:
        _end(process)


def let_workers_save(node: psutil.Process) -> None:
    """Ask the workers of trials to save, and wait until they have left; the machine ends who takes too long."""
    workers = [process for process in node.children(recursive=True) if "JobActor" in _title(process)]
    for worker in workers:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(signal.SIGTERM)
    psutil.wait_procs(workers)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        family = psutil.Process(process.pid).children(recursive=True)
        for member in (*family, process):
            with suppress(psutil.NoSuchProcess):
                member.kill()
    process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
