"""The recognition of a folder's dataset by the names of its videos."""

from __future__ import annotations

from pathlib import Path

from tsvan.data.datasets import DATASETS, DatasetRules, rules
from tsvan.data.raw.listing import check_folder, list_folder
from tsvan.data.store import INDEX
from tsvan.validation import UserError

_ENOUGH = 0.5
"""More than this share of the clips must have names that are the dataset's own."""


def recognise(source: Path, follow_links: bool = False) -> DatasetRules | None:
    """Find the dataset that ships whose names most of a folder's files have; None: they are of none of them.

    Raises:
        UserError: no such folder, or a clip store.
    """
    if (source / INDEX).exists():
        raise UserError(f"{source} is a clip store; look at it with python -m tsvan data show --store {source}")
    check_folder(source, "give the folder that holds the videos")
    shares: dict[str, float] = {}
    for name in DATASETS:
        try:
            listing = list_folder(rules(name), source, follow_links=follow_links)
        except UserError:
            continue  # nothing in it that could be a clip of this dataset
        # Any folder of videos in subfolders could be speakers with their videos: such names say nothing.
        sure = sum(found.layout is not None and found.layout.distinctive for found in listing.candidates)
        shares[name] = sure / listing.total
    best = max(shares, key=lambda name: shares[name], default="")
    return rules(best) if best and shares[best] > _ENOUGH else None
