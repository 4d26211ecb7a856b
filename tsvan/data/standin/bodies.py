"""Articulated figures for stand-in videos: a body of limbs, a person's looks, and a pencil.

Angles are radians from straight down, positive towards the right of the picture; lengths are shares of the figure's
height.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from math import sin

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Point = tuple[float, float]

_TORSO, _HEAD, _UPPER_ARM, _FOREARM, _THIGH, _SHIN = 0.31, 0.075, 0.16, 0.16, 0.22, 0.22
_SUPERSAMPLE = 3
_GROUND = 0.93


@dataclass(frozen=True)
class Pose:
    """Angles of a body. Each arm is (shoulder, elbow), each leg (hip, knee); the second angle is relative to the first.

    Args:
        left_arm, right_arm, left_leg, right_leg: the limbs.
        lean: of the torso, from upright.
        lift: of the lowest point above the ground, a share of the height.
        turn: of the whole body around its hips.
    """

    left_arm: tuple[float, float] = (-0.15, 0.1)
    right_arm: tuple[float, float] = (0.15, 0.1)
    left_leg: tuple[float, float] = (-0.06, 0.0)
    right_leg: tuple[float, float] = (0.06, 0.0)
    lean: float = 0.0
    lift: float = 0.0
    turn: float = 0.0


@dataclass(frozen=True)
class Look:
    """A person and the place: what tells people apart and has nothing to do with the action.

    Args:
        skin, shirt, trousers, wall, floor: colours.
        height: share of the picture's side.
        girth: width of the limbs, share of the height.
        tempo: speed of the motion beside the mean person's.
        reach: size of the motion beside the mean person's.
        stripes: width of the wall's stripes, share of the picture's side.
    """

    skin: Colour
    shirt: Colour
    trousers: Colour
    wall: Colour
    floor: Colour
    height: float
    girth: float
    tempo: float
    reach: float
    stripes: float


def random_look(rng: np.random.Generator) -> Look:
    """Draw a person's looks and the place at random."""
    return Look(
        skin=_SKINS[rng.integers(len(_SKINS))],
        shirt=_colour(rng, 30, 230),
        trousers=_colour(rng, 10, 120),
        wall=_colour(rng, 120, 215),
        floor=_colour(rng, 70, 140),
        height=float(rng.uniform(0.70, 0.82)),
        girth=float(rng.uniform(0.055, 0.085)),
        tempo=float(rng.uniform(0.88, 1.12)),
        reach=float(rng.uniform(0.88, 1.08)),
        stripes=float(rng.uniform(0.12, 0.25)),
    )


def paint(pose: Pose, look: Look, side: int, *, centre: float, scroll: float, mirror: bool) -> npt.NDArray[np.uint8]:
    """Draw one frame, (side, side, 3) uint8.

    Args:
        pose: of the body.
        look: of the person and the place.
        side: pixels.
        centre: horizontal place of the hips, share of the side.
        scroll: how far the camera has followed the person past the wall, share of the side.
        mirror: seen from the other side.
    """
    size = side * _SUPERSAMPLE
    image = Image.new("RGB", (size, size), look.wall)
    pencil = ImageDraw.Draw(image)
    _paint_place(pencil, look, size, scroll)
    _paint_body(pencil, pose, look, size, centre)
    if mirror:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(image.reduce(_SUPERSAMPLE))


def _paint_place(pencil: ImageDraw.ImageDraw, look: Look, size: int, scroll: float) -> None:
    darker = _shade(look.wall, 0.93)
    width = look.stripes * size
    left = -(scroll * size) % (2 * width) - 2 * width
    while left < size:
        pencil.rectangle((left, 0, left + width, size), fill=darker)
        left += 2 * width
    pencil.rectangle((0, _GROUND * size, size, size), fill=look.floor)


def _paint_body(pencil: ImageDraw.ImageDraw, pose: Pose, look: Look, size: int, centre: float) -> None:
    joints = {name: _turned(point, pose.turn) for name, point in _joints(pose).items()}
    lowest = max(y for _, y in joints.values())
    scale = look.height * size

    def at(name: str) -> Point:
        x, y = joints[name]
        return centre * size + x * scale, _GROUND * size + (y - lowest - pose.lift) * scale

    girth = look.girth * scale
    far, near = 0.78, 1.0
    _limb(pencil, [at("left hip"), at("left knee"), at("left foot")], girth, _shade(look.trousers, far))
    _limb(pencil, [at("left shoulder"), at("left elbow"), at("left hand")], girth * 0.8, _shade(look.shirt, far))
    _limb(pencil, [at("right hip"), at("right knee"), at("right foot")], girth, _shade(look.trousers, near))
    _limb(pencil, [at("hips"), at("neck")], girth * 2.0, look.shirt)
    _disc(pencil, at("head"), _HEAD * scale, look.skin)
    _limb(pencil, [at("right shoulder"), at("right elbow"), at("right hand")], girth * 0.8, _shade(look.shirt, 1.15))
    for hand in ("left hand", "right hand"):
        _disc(pencil, at(hand), girth * 0.55, look.skin)


def _joints(pose: Pose) -> dict[str, Point]:
    """Compute the positions of the joints, with the hips at the origin, y downwards."""
    up = (sin(pose.lean), -math.cos(pose.lean))
    joints: dict[str, Point] = {
        "hips": (0.0, 0.0),
        "neck": (up[0] * _TORSO, up[1] * _TORSO),
        "head": (up[0] * (_TORSO + _HEAD * 1.2), up[1] * (_TORSO + _HEAD * 1.2)),
        "crown": (up[0] * (_TORSO + _HEAD * 2.2), up[1] * (_TORSO + _HEAD * 2.2)),
    }
    limbs = {"left": (-1, pose.left_arm, pose.left_leg), "right": (1, pose.right_arm, pose.right_leg)}
    for name, (sign, (shoulder, elbow), (hip, knee)) in limbs.items():
        start = (up[0] * _TORSO * 0.9 + sign * 0.05, up[1] * _TORSO * 0.9)
        joints[f"{name} shoulder"] = start
        joints[f"{name} elbow"] = _along(start, shoulder, _UPPER_ARM)
        joints[f"{name} hand"] = _along(joints[f"{name} elbow"], shoulder + elbow, _FOREARM)
        joints[f"{name} hip"] = (sign * 0.03, 0.0)
        joints[f"{name} knee"] = _along(joints[f"{name} hip"], hip, _THIGH)
        joints[f"{name} foot"] = _along(joints[f"{name} knee"], hip + knee, _SHIN)
    return joints


def _along(start: Point, angle: float, length: float) -> Point:
    return start[0] + sin(angle) * length, start[1] + math.cos(angle) * length


def _turned(point: Point, angle: float) -> Point:
    x, y = point
    return x * math.cos(angle) - y * sin(angle), x * sin(angle) + y * math.cos(angle)


def _limb(pencil: ImageDraw.ImageDraw, points: list[Point], width: float, colour: Colour) -> None:
    pencil.line(points, fill=colour, width=max(1, round(width)))
    for point in points:
        _disc(pencil, point, width / 2, colour)


def _disc(pencil: ImageDraw.ImageDraw, centre: Point, radius: float, colour: Colour) -> None:
    x, y = centre
    pencil.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(value * factor)) for value in colour)
    return red, green, blue


def _colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


_SKINS: tuple[Colour, ...] = ((240, 200, 170), (222, 172, 135), (186, 128, 92), (140, 90, 62), (96, 60, 42))
