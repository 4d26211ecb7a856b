"""Ray itself: its quiet settings, a cluster of our own or somebody's, and what it has. Import this before Ray."""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

for _name, _value in {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",  # Ray Tune's workers are started with an environment of their own
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_MAX_PENDING_TRIALS_PG": "200",  # the queue says how many run; else one worker starts after the other
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}.items():
    os.environ.setdefault(_name, _value)

import ray  # noqa: E402
from ray._private import node, parameter, ray_constants  # noqa: E402

from tsvan.validation import UserError, first_line  # noqa: E402

_CONNECT_TIMEOUT_S = 10.0
_LOCK = "driver.lock"
_SHORT = 40  # characters; Ray's sockets lie below its temporary folder, and a socket's path ends at 107


@dataclass(frozen=True)
class Slots:
    """How many jobs at a time, and what each gets."""

    workers: int
    cpus: int
    gpus: float


@contextmanager
def connected(address: str | None, slots: Slots | None) -> Iterator[None]:
    """A Ray cluster: the one at `address`, or one of our own on this machine, with `slots`, that ends with the block.

    Raises:
        UserError: nothing answers at `address`, or our own does not start.
    """
    _importable_in_workers()
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    logging.getLogger("ray").setLevel(logging.ERROR)
    scratch: Path | None = None
    try:
        if address:
            try:
                _knock(address)
                ray.init(address=address, **quiet)
            except (OSError, ValueError) as error:
                text = first_line(error)
                raise UserError(f"no Ray cluster at '{address}' ({text}); start one, or leave --address out") from None
        else:
            assert slots is not None
            scratch, held = _own_folder()
            _own_token(scratch)
            with _other_process_group(), _on_loopback(), _without_onlookers(), _in_time():
                ray.init(
                    address="local",
                    num_cpus=slots.workers * slots.cpus,
                    include_dashboard=False,
                    object_store_memory=100 * 2**20,
                    _temp_dir=str(scratch),
                    _node_ip_address="127.0.0.1",
                    **quiet,
                )
        yield
    finally:
        ray.shutdown()
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
            held.close()


def _own_folder() -> tuple[Path, IO[str]]:
    """A folder for Ray's sockets and logs, and the lock that says that its driver lives; folders of the dead go."""
    base = tempfile.gettempdir()
    base = base if len(base) < _SHORT else "/tmp"
    for lock in Path(base).glob(f"tsvan-*/{_LOCK}"):
        with suppress(OSError), open(lock) as file:  # held by a living driver, or somebody else's
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix="tsvan-", dir=base))
    held = open(folder / f"{_LOCK}.new", "w")  # noqa: SIM115 - held as long as the cluster
    fcntl.flock(held, fcntl.LOCK_EX)
    os.rename(held.name, folder / _LOCK)
    return folder, held


def _knock(address: str) -> None:
    """Ray itself tries for minutes where nobody answers. Raises OSError."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_CONNECT_TIMEOUT_S).close()


def num_nodes() -> int:
    """Machines in the cluster."""
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]


def cluster_resources() -> dict[str, float]:
    """`CPU`, `GPU` of the cluster."""
    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return {name: float(found.get(name, 0)) for name in ("CPU", "GPU")}


def _importable_in_workers() -> None:
    """Workers start elsewhere; let them find this project as this process does."""
    here = str(Path(__file__).resolve().parents[2])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if here not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, paths)])


@contextmanager
def _other_process_group() -> Iterator[None]:
    """Ray's processes start in a group of their own: a SIGTERM to ours (`timeout`, a shell, a supervisor) must reach
    the driver alone, which lets the trials save; with Ray's daemon gone they could not."""
    ours = os.getpgrp()
    anchor = subprocess.Popen(["sleep", "600"], process_group=0)
    try:
        with suppress(PermissionError):  # the leader of a session can't move
            os.setpgid(0, anchor.pid)
        yield
    finally:
        with suppress(PermissionError):
            os.setpgid(0, ours)
        anchor.kill()
        anchor.wait()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray turns 127.0.0.1 into the address that others reach and listens on all of them, but where it supports one
    machine only. Ours is one: its processes inherit the setting, and a cluster that is joined does not see it."""
    name = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    os.environ[name] = "0"
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(name)


@contextmanager
def _without_onlookers() -> Iterator[None]:
    """Three processes that Ray starts beside a cluster, and that no option of `ray.init` leaves out, do nothing for one
    machine's study: the autoscaler's monitor, the forwarder of logs that `log_to_driver=False` does not read, and the
    server of the dashboard that `include_dashboard=False` does not want. They take 150 MiB, and seconds to start."""
    unasked: dict[str, Any] = {"no_monitor": True, "include_log_monitor": False}
    params = functools.partial(parameter.RayParams, **unasked)
    with _replaced(parameter, "RayParams", params), _replaced(node.Node, "start_api_server", lambda *_, **__: None):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def _in_time() -> Iterator[None]:
    """Ray gives its own processes 30 s to start, which no setting changes."""
    try:
        yield
    except Exception as error:  # Ray raises a bare one
        if "timed out during startup" not in str(error):
            raise
        raise UserError(
            "Ray did not start within 30 s, this machine is too busy; run the same command again when it has time"
        ) from None


def _own_token(scratch: Path) -> None:
    """Ray keeps its access token under HOME; where that can't be written, beside its sockets."""
    if "RAY_AUTH_TOKEN_PATH" not in os.environ and not os.access(Path.home(), os.W_OK):
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(scratch / "token")
