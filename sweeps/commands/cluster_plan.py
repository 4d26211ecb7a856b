"""What a study would do on each node of the cluster that it is to join, for `--dry-run`."""

from __future__ import annotations

from contextlib import ExitStack

from sweeps.commands.request import ResolvedRequest
from sweeps.data import DataPlan
from sweeps.execution.resources import join
from tsvan.data.store import INDEX, ClipStore


def cluster_rows(request: ResolvedRequest) -> list[tuple[str, str]]:
    """Ask the cluster, and return a row of the plan for each node; none where no cluster is to be joined.

    Raises:
        UserError: it can't be joined, or no node could be used.
    """
    if request.address is None:
        return []
    data, clips = request.data, ("", "")
    if isinstance(data, DataPlan) and data.store is not None and (data.store / INDEX).exists():
        clips = (str(data.store), ClipStore.open(data.store).content_hash)
    with ExitStack() as stack:
        join(request.address, request.config, request.where.uri, stack)
        from sweeps.execution.study_nodes import planned_nodes

        nodes = planned_nodes(request.config, request.paths, *clips)
    return [("node", f"{name}: {what}") for name, what in nodes]
