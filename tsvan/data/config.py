"""How raw videos become clips: the split, and how they are centred."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from tsvan.validation import STRICT

SplitRule = Literal["supplement", "release"]


@dataclass(frozen=True, config=STRICT)
class PrepareConfig:
    """Settings of `data prepare` and `data inspect`.

    Args:
        split: `supplement` (section B.1) or `release` (differs for MUG: every fourth phase is held out, so that parts
            of one take are on both sides).
        centring: `auto` crops faces (mug, vox) and actors (weizmann, synaction) out of sources that are not centred
            yet; `none` takes the central square of everything.
        face_margin: space beside a face's box on each side, as a share of the box.
        actor_margin: the same for an actor's box.
        min_seen: smallest share of the frames looked at in which a face or an actor must be found.
        max_jump: largest step of a clip's smoothed box between two frames looked at, as a share of its size.
    """

    split: SplitRule = "supplement"
    centring: Literal["auto", "none"] = "auto"
    face_margin: float = Field(default=0.25, ge=0, le=2)
    actor_margin: float = Field(default=0.15, ge=0, le=2)
    min_seen: float = Field(default=0.3, gt=0, le=1)
    max_jump: float = Field(default=0.5, gt=0)
