"""The report's answer to "can the scorer be trusted?": accuracy, upper and lower bounds, growth with N."""

from __future__ import annotations

from typing import Any

from tsvan.scoring.evidence import MIN_ERRORS, Gap


def trust_lines(scorer: dict[str, Any], clips: str = "real") -> list[str]:
    """Say in Markdown what the scorer's stage measured.

    Args:
        scorer: the fields of `ScorerResult`.
        clips: what the held-out clips are: `real`, or `stand-in`.
    """
    table = scorer["sensitivity"]
    names = list(table["rows"]["real"])
    lines = [
        _accuracy(scorer, table["rows"]["real"], clips),
        "",
        f"Scores of held-out {clips} clips (what a perfect generator would get) and of broken copies, N = "
        f"{table['num_clips']}, distances between halves of {table['num_distance_clips']}:",
        "",
        _row(["clips", *names]),
        _row(["---"] * (len(names) + 1)),
        *(
            _row([clips if kind == "real" else kind, *(f"{values[name]:.4g}" for name in names)])
            for kind, values in table["rows"].items()
        ),
        "",
        *_gaps(table),
    ]
    return [*lines, "", *_growth(scorer["growth"], scorer["marked"], clips)]


def _accuracy(scorer: dict[str, Any], real: dict[str, float], clips: str) -> str:
    last, chances = scorer["last_accuracies"], scorer["chances"]
    heads = [
        f"{name} {value:.3f} (last iteration {last[name]:.3f}, chance {chances[name]:.3f})"
        for name, value in scorer["accuracies"].items()
    ]
    action = f"; the action asked for {real['label_agreement']:.3f}" if "label_agreement" in real else ""
    return f"The scorer's accuracy on {clips} clips that are held out from its training: {', '.join(heads)}{action}."


def _gaps(table: dict[str, Any]) -> list[str]:
    """Say by how many standard errors each metric tells the copies from the clips, and whether that is enough."""
    if not table["gaps"]:
        return [f"- {reason}" for reason in table["refusals"].values() if reason]
    kinds = list(next(iter(table["gaps"].values())))
    rows = []
    for metric, gaps in table["gaps"].items():
        errors = [f"{Gap(**gaps[kind]).errors:.1f}" for kind in kinds]
        rows.append(_row([metric, *errors, "no" if table["refusals"][metric] else "yes"]))
    return [
        f"How much worse the copies score than the clips themselves, in standard errors over {table['num_blocks']} "
        f"held-out {_units(table['unit'])}; only a metric with {MIN_ERRORS:g} or more of each may steer a study:",
        "",
        _row(["metric", *kinds, "may steer"]),
        _row(["---"] * (len(kinds) + 2)),
        *rows,
    ]


def _units(unit: str) -> str:
    """Name what the standard errors are over."""
    return "videos" if unit == "video" else "stretches of few videos (those of one video count as independent)"


def _growth(growth: dict[str, Any], marked: dict[str, int], clips: str) -> list[str]:
    values = growth["values"]
    names = list(values)
    lines = [
        f"How scores of {clips} clips grow with N (mean ± standard deviation of random draws from "
        f"{growth['num_clips']} clips; distances end where the clips end):",
        "",
        _row(["N", *names]),
        _row(["---"] * (len(names) + 1)),
    ]
    for size in growth["sizes"]:
        groups = [group for group, count in marked.items() if count == size]
        title = f"**{size:,}** ({', '.join(groups)})" if groups else f"{size:,}"
        cells = [values[name].get(str(size)) for name in names]
        lines.append(_row([title, *("-" if cell is None else f"{cell[0]:.4g} ± {cell[1]:.2g}" for cell in cells)]))
    return lines


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
