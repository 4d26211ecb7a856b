"""What Ray reads from the environment. It reads some of it while it is imported, so this comes before Ray."""

from __future__ import annotations

import os
import secrets
import sys

_ALWAYS = {
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
    "TUNE_MAX_PENDING_TRIALS_PG": "200",  # the searcher says how many run; else one worker starts after the other
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_STATE_REFRESH_PERIOD": "1000000000",  # asks the GCS, and would hang for a minute where that is dead
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}
_OF_OLD = ("TUNE_RESULT_DIR", "RAY_AIR_LOCAL_CACHE_DIR")
"""Settings of earlier versions, with which Ray Tune refuses to run."""

_SEVERAL_MACHINES = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Where it is 0, Ray takes 127.0.0.1 for what it is. Else it turns that into the address that others reach, and
listens on all of them. What the name says is where Ray's makers turned it off."""

_prepared: list[str] = []


def prepare(*, joins: bool) -> None:
    """Set what Ray reads, once a process; the first call counts.

    Args:
        joins: a cluster of somebody's is joined, whose access token the user has; else one is started that listens on
            this machine only and has a token of its own, which no file holds.

    Raises:
        RuntimeError: Ray was imported before.
    """
    if _prepared:
        return
    if "ray" in sys.modules and not joins and os.environ.get(_SEVERAL_MACHINES) != "0":
        raise RuntimeError("ray was imported before sweeps.execution.ray_cluster; import that first")
    _prepared.append("joins" if joins else "own")
    for name in _OF_OLD:
        os.environ.pop(name, None)
    own = {_SEVERAL_MACHINES: "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    for name, value in {**_ALWAYS, **({} if joins else own)}.items():
        os.environ.setdefault(name, value)
