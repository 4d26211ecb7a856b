"""Loss curves of a trial as a picture."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from sweeps.state.job import SCORE, SYSTEM
from tsvan.journal import Journal


def draw_curves(metrics: Path, out: Path) -> None:
    """Draw losses by step kind and scores over iterations; nothing is written when there are none.

    Args:
        metrics: a trial's journal.
        out: PNG.
    """
    from matplotlib.figure import Figure

    if not metrics.exists():
        return
    series: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for line in Journal(metrics).lines():
        for name, value in line["values"].items():
            group, _, short = name.partition("/")
            if line["kind"] == SCORE:
                series["score"][name].append((line["iteration"], value))
            elif short and group not in ("rate", "schedule", SYSTEM):
                series[group][short].append((line["iteration"], value))
    series["score"].pop("score_seconds", None)
    panels = {group: lines for group, lines in series.items() if lines}
    if not panels:
        return
    height = 2.2 * len(panels)
    figure = Figure(figsize=(8, height))
    # Places by hand: matplotlib's own layout takes as long as all the drawing, and the driver draws beside its trials.
    places = {"left": 0.09, "right": 0.66, "top": 1 - 0.25 / height, "bottom": 0.45 / height, "hspace": 0.35}
    grid = figure.subplots(len(panels), squeeze=False, sharex=True, gridspec_kw=places)
    for axes, (group, lines) in zip(grid.flat, panels.items(), strict=True):
        for name, points in sorted(lines.items()):
            axes.plot(*zip(*points, strict=True), label=name, linewidth=1, marker="." if len(points) < 20 else "")
        axes.set_yscale("symlog", linthresh=1)
        axes.set_title(group, fontsize=9, loc="left")
        axes.legend(fontsize=6, ncols=2, loc="upper left", bbox_to_anchor=(1, 1))
    axes.set_xlabel("iteration")
    figure.savefig(out, dpi=90)
