"""`python -m sweeps.execution.connection_probe ADDRESS`: joins a Ray cluster as a driver does, and leaves it again."""

from __future__ import annotations

import logging
import sys

from sweeps.execution import ray_environment

JOINED, FAILED = "joined", "failed: "


def main() -> None:
    """Print `JOINED` once the cluster answers, or `FAILED` with Ray's reason."""
    ray_environment.prepare(joins=True)
    import ray

    try:
        ray.init(address=sys.argv[1], logging_level=logging.CRITICAL, log_to_driver=False)
        ray.shutdown()
    except Exception as error:
        print(FAILED + " ".join(f"{type(error).__name__}: {error}".split()), flush=True)
    else:
        print(JOINED, flush=True)


if __name__ == "__main__":
    main()
