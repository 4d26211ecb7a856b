"""How the stand-in figures move: a program for each action, from its phase to a pose.

A phase of 2 pi is one cycle; the second argument is a person's reach, about 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from math import pi, sin

from tsvan.data.standin.bodies import Pose


def _swing(phase: float) -> float:
    """Swing from 0 at phase 0 to 1 half a cycle later, smoothly."""
    return 0.5 - 0.5 * math.cos(phase)


def _hop(phase: float) -> float:
    """Return the height of a jump: off the ground for half of the cycle."""
    return max(0.0, sin(phase))


def _gait(p: float, k: float) -> Pose:
    """Pose a gait to the right: legs and arms in opposition, the knee bends while its leg comes forward."""
    stride, arm = 0.65 * k * sin(p), 0.65 * k * sin(p)
    return Pose(
        left_arm=(-arm, 0.8),
        right_arm=(arm, 0.8),
        left_leg=(stride, -1.0 * _hop(p + pi / 2) - 0.1),
        right_leg=(-stride, -1.0 * _hop(p - pi / 2) - 0.1),
        lean=0.12,
        lift=0.03 * _swing(2 * p),
    )


def _crouch(depth: float, **others: object) -> Pose:
    """Bend the knees forward by `depth`, feet below the hips."""
    leg = (depth, -2 * depth)
    return Pose(left_leg=leg, right_leg=(depth * 0.9, -1.8 * depth), **others)  # type: ignore[arg-type]


def _bend(p: float, k: float) -> Pose:
    reach = 1.5 * k * _swing(p)
    return Pose(lean=reach, left_arm=(reach * 0.3, 0.1), right_arm=(reach * 0.45, 0.1))


def _jack(p: float, k: float) -> Pose:
    open_ = _swing(p)
    arm, leg = 0.2 + 2.6 * k * open_, 0.05 + 0.5 * k * open_
    return Pose((-arm, -0.1), (arm, 0.1), (-leg, 0.0), (leg, 0.0), lift=0.05 * _swing(2 * p))


def _jump(p: float, k: float) -> Pose:
    air = _hop(p)
    low = _hop(p + pi)
    arms = (2.0 * air - 0.9 * low, 0.3)
    return _crouch(0.2 + 0.6 * k * low, lift=0.16 * k * air, lean=0.35 * low + 0.15, left_arm=arms, right_arm=arms)


def _side(p: float, k: float) -> Pose:
    spread = 0.05 + 0.45 * k * _swing(p)
    return Pose(left_leg=(-spread, 0.0), right_leg=(spread, 0.0), lift=0.04 * _swing(p + pi))


def _climb(p: float, k: float) -> Pose:
    left, right = _swing(p), _swing(p + pi)
    return Pose(
        (-1.8 - 1.1 * k * left, 0.4),
        (1.8 + 1.1 * k * right, -0.4),
        (-1.1 * right, 1.5 * right),
        (1.1 * left, -1.5 * left),
    )


def _hit(p: float, k: float) -> Pose:
    # Up slowly, down at once: time does not run the same both ways.
    arm = 2.7 * k * (1 - (p / (2 * pi)) % 1.0) ** 2
    return Pose(right_arm=(0.3 + arm, 0.2), lean=0.3 - 0.12 * arm, left_leg=(-0.25, 0.0), right_leg=(0.25, 0.0))


def _kick(p: float, k: float) -> Pose:
    leg = -0.4 + 2.0 * k * _swing(p) ** 2
    return Pose((-0.6, 0.2), (0.6 - 0.5 * leg, 0.2), (-0.05, 0.0), (leg, -0.4 * _swing(p + pi)), lean=-0.15 * leg)


def _pitch(p: float, k: float) -> Pose:
    return Pose((-0.6, 0.4), (-p, -0.2), (-0.3, 0.0), (0.5 * k * _hop(p), -0.1), lean=0.25 * k * sin(p))


def _roll(p: float, k: float) -> Pose:
    tuck = 1.5 * k
    return Pose((tuck, 0.5), (tuck, 0.7), (tuck, -2.0), (tuck, -2.2), lean=0.9, turn=p)


def _stall(p: float, k: float) -> Pose:
    legs = 0.8 * k * sin(p)
    return Pose((-2.9, 0.1), (2.9, -0.1), (-0.4 + legs, 0.5), (0.4 + legs, -0.5), turn=pi)


def _squat(p: float, k: float) -> Pose:
    depth = 1.25 * k * _swing(p)
    return _crouch(depth, lean=0.35 * depth, left_arm=(1.2 * depth, 0.0), right_arm=(1.2 * depth, 0.1))


def _standup(p: float, k: float) -> Pose:
    seated = 1.5 * (1 - _swing(p)) * k
    legs = (seated, -seated)
    return Pose((0.3, 0.4), (0.4, 0.4), legs, legs, lean=0.5 * sin(p) if p % (2 * pi) < pi else 0.0)


def _pick(p: float, k: float) -> Pose:
    depth = _swing(p) * k
    return _crouch(1.0 * depth, lean=1.1 * depth, right_arm=(0.7 * depth, -0.1), left_arm=(-0.5 * depth, 0.2))


def _push(p: float, k: float) -> Pose:
    out = _swing(p)
    arms = (0.2 + 1.35 * out * k, 1.9 * (1 - out))
    return Pose(arms, arms, (-0.45, 0.0), (0.35, -0.25), lean=0.1 + 0.25 * out)


def _cheer(p: float, k: float) -> Pose:
    up = _swing(p)
    return Pose((-2.3 - 0.6 * up, 1.4 * (1 - up)), (2.3 + 0.6 * up, -1.4 * (1 - up)), lift=0.08 * k * up)


def _clap(p: float, k: float) -> Pose:
    apart = 0.9 * k * _swing(p)
    return Pose((-0.35 - apart, 2.2), (0.35 + apart, -2.2))


def _crossstep(p: float, k: float) -> Pose:
    cross = 0.55 * k * sin(p)
    return Pose((-0.9, 0.3), (0.9, -0.3), (cross, 0.0), (-cross, 0.0))


Motion = Callable[[float, float], Pose]

MOTIONS: Mapping[str, Motion] = {
    "bend": _bend,
    "bow": lambda p, k: Pose(lean=0.9 * k * _swing(p), left_arm=(0.0, 0.0), right_arm=(0.1, 0.0)),
    "cheer": _cheer,
    "clap": _clap,
    "climb": _climb,
    "crossstep": _crossstep,
    "hit": _hit,
    "hook": lambda p, k: Pose((0.5, 1.9), (1.6 * k * sin(p), 1.5), (-0.25, 0.0), (0.3, -0.1), lean=0.2 * sin(p)),
    "jack": _jack,
    "jump": _jump,
    "kick": _kick,
    "knee": lambda p, k: Pose((0.6, 1.2), (0.8, 1.2), (-0.05, 0.0), (1.7 * k * _swing(p), -2.0 * _swing(p))),
    "pick": _pick,
    "pitch": _pitch,
    "pjump": _bend,
    "push": _push,
    "roll": _roll,
    "run": _gait,
    "side": _side,
    "skip": _jump,
    "squat": _squat,
    "stall": _stall,
    "standup": _standup,
    "walk": _gait,
    "wave": lambda p, k: Pose(right_arm=(2.5, 0.75 * k * sin(p))),
    "wave1": lambda p, k: Pose(right_arm=(1.5 + 1.4 * k * _swing(p), 0.1)),
    "wave2": _jack,
}

PAIRS: tuple[tuple[str, str], ...] = (("bend", "pjump"), ("jump", "skip"), ("walk", "run"), ("wave2", "jack"))
"""Actions with the same poses, the slow one first: no single frame tells them apart, so that a scorer must see motion.
Both are slow beside what shuffled frames look like."""

SLOW, FAST = 0.5, 1.3

TEMPO: Mapping[str, float] = {name: tempo for pair in PAIRS for name, tempo in zip(pair, (SLOW, FAST), strict=True)}
"""Cycles in the time of one cycle of an unpaired action."""

SPEED: Mapping[str, float] = {"run": 0.25, "jump": 0.35, "skip": 0.35, "side": 0.3, "walk": 0.25}
"""How far a person moves in a cycle, share of the picture's side; the camera follows, so the wall moves instead."""
