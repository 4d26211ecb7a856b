"""`python -m tests.cluster.wait_policy ADDRESS`: prints how threads wait in a worker on a cluster that is joined."""

from __future__ import annotations

import os
import sys

from sweeps.execution import ray_environment

ray_environment.prepare(joins=True)

from sweeps.execution.ray_cluster import joined_cluster  # noqa: E402

import ray  # isort: skip  # noqa: E402

if __name__ == "__main__":
    with joined_cluster(sys.argv[1]):
        print(ray.get(ray.remote(os.getenv).remote("OMP_WAIT_POLICY")))
