"""Faces for stand-in videos: people who look different, talk, blink, sway and change their expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from tsvan.data.standin.bodies import Colour, Point

_SUPERSAMPLE = 3


@dataclass(frozen=True)
class Face:
    """The state of a face's muscles and of the head; all 0: neutral, looking ahead.

    Args:
        brow: brows up (1) or down (-1).
        frown: inner ends of the brows down (1) or up (-1).
        lid: eyes wide (1) or shut (-1).
        smile: corners of the mouth up (1) or down (-1).
        jaw: mouth open, 0..1.
        stretch: mouth wide (1) or narrow (-1).
        sneer: upper lip and nose raised, 0..1.
        x, y: shift of the head, share of the picture's side.
        roll: of the head, radians.
    """

    brow: float = 0.0
    frown: float = 0.0
    lid: float = 0.0
    smile: float = 0.0
    jaw: float = 0.0
    stretch: float = 0.0
    sneer: float = 0.0
    x: float = 0.0
    y: float = 0.0
    roll: float = 0.0

    def plus(self, other: Face, share: float = 1.0) -> Face:
        """Return this face with a share of another added."""
        return Face(**{f.name: getattr(self, f.name) + share * getattr(other, f.name) for f in fields(self)})


EXPRESSIONS: Mapping[str, Face] = {
    "anger": Face(brow=-0.8, frown=1.0, lid=-0.15, smile=-0.3, stretch=-0.5, y=0.02),
    "disgust": Face(brow=-0.4, frown=0.4, lid=-0.55, smile=-0.5, jaw=0.12, sneer=1.0, x=0.03),
    "fear": Face(brow=0.6, frown=-0.8, lid=0.8, jaw=0.35, stretch=0.6, smile=-0.4, y=-0.02),
    "happiness": Face(brow=0.15, lid=-0.4, smile=1.0, jaw=0.25, stretch=0.8),
    "sadness": Face(brow=0.1, frown=-1.0, lid=-0.3, smile=-1.0, stretch=-0.2, y=0.05),
    "surprise": Face(brow=1.2, lid=1.0, jaw=1.0, stretch=-0.6, y=-0.02),
}


@dataclass(frozen=True)
class FaceLook:
    """A person: what stays the same in all of their videos.

    Args:
        skin, hair, iris, lips, shirt, wall: colours.
        width, height: half axes of the head, share of the picture's side.
        fringe: how far the hair comes down the forehead, 0..1.
        eyes: distance between the eyes, share of the head's width.
        beard: has one.
        rhythm: syllables per second.
        sway: how far the head moves.
        sway_rate: sways per second.
    """

    skin: Colour
    hair: Colour
    iris: Colour
    lips: Colour
    shirt: Colour
    wall: Colour
    width: float
    height: float
    fringe: float
    eyes: float
    beard: bool
    rhythm: float
    sway: float
    sway_rate: float


def random_face(rng: np.random.Generator) -> FaceLook:
    """Draw a person's face at random."""
    skin = _SKINS[rng.integers(len(_SKINS))]
    return FaceLook(
        skin=skin,
        hair=_HAIR[rng.integers(len(_HAIR))],
        iris=_IRIS[rng.integers(len(_IRIS))],
        lips=_mix(skin, (205, 40, 62), float(rng.uniform(0.55, 0.8))),
        shirt=_random_colour(rng, 20, 200),
        wall=_random_colour(rng, 60, 220),
        width=float(rng.uniform(0.25, 0.31)),
        height=float(rng.uniform(0.34, 0.39)),
        fringe=float(rng.uniform(0.1, 0.9)),
        eyes=float(rng.uniform(0.85, 1.05)),
        beard=bool(rng.random() < 0.3),
        rhythm=float(rng.uniform(2.0, 3.0)),
        sway=float(rng.uniform(0.04, 0.06)),
        sway_rate=float(rng.uniform(0.34, 0.41)),
    )


def talking(look: FaceLook, time_s: float, phases: npt.NDArray[np.float64]) -> Face:
    """Pose a talking head at a time.

    Args:
        look: whose rhythm and sway.
        time_s: seconds from the video's start.
        phases: (6,) in 0..1, drawn once for a video, so that no two videos of a person are the same.
    """
    turn = 2 * np.pi * (look.rhythm * time_s + phases[0])
    phrase = np.sin(2 * np.pi * (0.45 * time_s + phases[1])) > -0.85
    jaw = (0.5 - 0.5 * np.cos(turn)) * (0.7 + 0.3 * np.sin(0.37 * turn + 6 * phases[2])) if phrase else 0.0
    talk = Face(jaw=float(jaw), stretch=float(0.5 * np.sin(0.61 * turn + 6 * phases[3])), brow=0.3 * float(jaw))
    return talk.plus(idle(look, time_s, phases))


def idle(look: FaceLook, time_s: float, phases: npt.NDArray[np.float64]) -> Face:
    """Pose a head that only blinks and sways; arguments as for `talking`."""
    swing = 2 * np.pi * look.sway_rate * time_s
    blink = ((time_s + 3 * phases[4]) % 2.6) < 0.18
    return Face(
        lid=-1.2 if blink else 0.0,
        x=float(look.sway * np.sin(swing + 6 * phases[4])),
        y=float(0.6 * look.sway * np.sin(1.7 * swing + 6 * phases[5])),
        roll=float(2.2 * look.sway * np.sin(0.8 * swing + 6 * phases[3])),
    )


def paint_face(face: Face, look: FaceLook, side: int) -> npt.NDArray[np.uint8]:
    """Draw one frame, (side, side, 3) uint8."""
    size = side * _SUPERSAMPLE
    image = Image.new("RGB", (size, size), look.wall)
    pencil = ImageDraw.Draw(image)
    pencil.rectangle((0, 0, size, size * 0.25), fill=_mix(look.wall, (255, 255, 255), 0.15))
    pencil.ellipse((size * 0.08, size * 0.84, size * 0.92, size * 1.5), fill=look.shirt)
    head = _Head(pencil, face, look, size)
    head.disc(0, 1.25, 0.5, 0.5, _mix(look.skin, (0, 0, 0), 0.15))
    head.disc(0, -0.12, 1.14, 1.08, look.hair)
    head.disc(0, 0.06, 1.0, 1.0, look.skin)
    head.polygon(
        [(-0.95, -0.45), (-0.5, -0.92), (0.5, -0.92), (0.95, -0.45), (0, -0.75 + 0.3 * look.fringe)], look.hair
    )
    if look.beard:
        head.disc(0, 0.72, 0.62, 0.36, look.hair)
    _paint_eyes(head, face, look)
    _paint_mouth(head, face, look)
    return np.asarray(image.reduce(_SUPERSAMPLE))


class _Head:
    """Draws in the head's own units: (0, 0) is its centre, (1, 1) its half axes; shifted and rolled with it."""

    def __init__(self, pencil: ImageDraw.ImageDraw, face: Face, look: FaceLook, size: int) -> None:
        self.pencil = pencil
        self.width, self.height = look.width * size, look.height * size
        self.centre = ((0.5 + face.x) * size, (0.5 + face.y) * size)
        self.cos, self.sin = float(np.cos(face.roll)), float(np.sin(face.roll))
        # Parallax: what lies in front moves more than the head's outline, so that a shift looks like a turn.
        self.front = face.x * 3.0, face.y * 2.0

    def at(self, x: float, y: float) -> Point:
        x, y = x * self.width, y * self.height
        return self.centre[0] + x * self.cos - y * self.sin, self.centre[1] + x * self.sin + y * self.cos

    def polygon(self, points: list[Point], colour: Colour) -> None:
        self.pencil.polygon([self.at(x, y) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        turns = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        self.polygon([(x + width * float(np.cos(t)), y + height * float(np.sin(t))) for t in turns], colour)

    def line(self, points: list[Point], width: float, colour: Colour) -> None:
        self.pencil.line([self.at(x, y) for x, y in points], fill=colour, width=max(1, round(width * self.width)))


def _paint_eyes(head: _Head, face: Face, look: FaceLook) -> None:
    dx, dy = head.front
    for sign in (-1, 1):
        x, y = sign * 0.42 * look.eyes + dx, -0.12 + dy
        opening = max(0.0, 0.11 * (1 + 0.75 * face.lid))
        if opening > 0.02:
            head.disc(x, y, 0.2, opening, (245, 245, 245))
            head.disc(x + 1.5 * face.x, y, 0.1, min(opening, 0.1), look.iris)
        else:
            head.line([(x - 0.2, y), (x + 0.2, y)], 0.06, _mix(look.skin, (0, 0, 0), 0.4))
        brow = y - 0.23 - 0.1 * face.brow
        inner, outer = (x - sign * 0.22, brow + 0.1 * face.frown), (x + sign * 0.24, brow - 0.03 * face.frown)
        head.line([inner, outer], 0.09, _mix(look.hair, (0, 0, 0), 0.45))
    nose = _mix(look.skin, (0, 0, 0), 0.22)
    tip = 0.2 + dy - 0.06 * face.sneer
    head.line([(dx * 0.8, -0.05 + dy), (0.06 + dx * 1.3, tip), (-0.08 + dx * 1.3, tip)], 0.06, nose)
    if face.sneer > 0.3:
        for sign in (-1, 1):
            head.line([(sign * 0.18 + dx, tip - 0.03), (sign * 0.4 + dx, tip + 0.2)], 0.05, nose)


def _paint_mouth(head: _Head, face: Face, look: FaceLook) -> None:
    dx, dy = head.front
    half = 0.37 + 0.14 * face.stretch
    top, gape = 0.48 + dy - 0.1 * face.sneer, 0.5 * max(face.jaw, 0.0)
    corner = top + 0.4 * gape - 0.18 * face.smile
    across = np.linspace(-1, 1, 9)
    upper = [(dx + half * float(u), corner + (top - corner) * float(1 - u * u)) for u in across]
    lower = [(dx + half * float(u), corner + (top + gape - corner) * float(1 - u * u)) for u in across[::-1]]
    if gape > 0.03:
        head.polygon(upper + lower, (60, 15, 20))
        if face.smile > 0.4:
            head.polygon([*upper, *((x, y * 0.6 + top * 0.4) for x, y in lower)], (240, 240, 235))
        head.line([*lower, lower[0]], 0.09, look.lips)
    head.line(upper, 0.1, look.lips)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _random_colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(value) for value in rng.integers(low, high, 3))
    return red, green, blue


_SKINS: tuple[Colour, ...] = ((243, 208, 182), (226, 180, 146), (196, 140, 104), (150, 100, 72), (104, 68, 50))
_HAIR: tuple[Colour, ...] = (
    (30, 22, 18),
    (80, 50, 30),
    (150, 100, 50),
    (200, 165, 100),
    (120, 50, 25),
    (140, 140, 140),
)
_IRIS: tuple[Colour, ...] = ((50, 35, 25), (60, 90, 130), (60, 100, 60), (30, 25, 25))
