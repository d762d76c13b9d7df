"""How the figures stand, move and walk: angles of their bones.

An angle is that of :class:`~mmext.demo.figure_body.Angles`: forward, outward, twist. Knees bend
with a negative angle forward, elbows with a positive one.
"""

from collections.abc import Callable, Mapping

import numpy as np

from mmext.demo.figure_body import Angles
from mmext.demo.textures import between, chance

Rng = np.random.Generator
Pose = Mapping[str, Angles]

STEP = 0.62
"""Largest angle of a leg of somebody who walks, radians."""
TURN = 6.283185307179586
_SIDES = ('left', 'right')


def draw_pose(rng: Rng) -> Pose:
    """A random pose of somebody who stands, walks, sits, bends, waves or jumps."""
    kinds = (_standing, _standing, _walking, _walking, _sitting, _bending, _waving, _jumping)
    kind: Callable[[Rng], dict[str, Angles]] = kinds[int(rng.integers(len(kinds)))]
    pose = {
        'head': (between(rng, -0.25, 0.3), between(rng, -0.15, 0.15), between(rng, -0.7, 0.7)),
        **_hands(rng),
        **kind(rng),
    }
    return pose


def walking_pose(phase: float, vigor: float, arms: float = 0.6) -> Pose:
    """Somebody who walks: half of the time a foot stands and goes back evenly under the body.

    Args:
        phase: of the step, 0 to 1 for two steps.
        vigor: 0 stands still, 1 takes the longest steps.
        arms: how far the arms swing, relative to the legs.
    """
    pose: dict[str, Angles] = {'torso': (-0.07 * vigor, 0.0, 0.0)}
    for side, shift in zip(_SIDES, (0.0, 0.5), strict=True):
        swing = _swing(phase + shift)
        lift = 1 - swing * swing if (phase + shift) % 1.0 >= 0.5 else 0.0
        leg, knee = STEP * vigor * swing, 0.08 + 1.0 * vigor * lift
        pose[f'{side}_upper_leg'] = leg + 0.07, 0.03, 0.0
        pose[f'{side}_lower_leg'] = -knee, 0.0, 0.0
        pose[f'{side}_foot'] = (knee - leg) * (1 - 0.7 * lift), 0.0, 0.0
        arm = -arms * leg
        pose[f'{side}_upper_arm'] = arm - 0.05, 0.14, 0.0
        pose[f'{side}_lower_arm'] = 0.3 + 0.6 * max(arm, 0.0), 0.0, 0.0
    return pose


def _swing(phase: float) -> float:
    """Where a leg is, 1 in front, -1 behind: evenly back, then quickly forward."""
    step = phase % 1.0
    if step < 0.5:
        return 1 - 4 * step
    ramp = 2 * step - 1
    return 2 * ramp * ramp * (3 - 2 * ramp) - 1


def _standing(rng: Rng) -> dict[str, Angles]:
    pose: dict[str, Angles] = {}
    for side in _SIDES:
        pose |= _arm(rng, side, (-0.4, 0.6), (0.08, 0.7), (0.1, 1.6))
        pose |= _leg(rng, side, (-0.12, 0.25), (0.0, 0.3), (0.0, 0.25))
    return pose


def _walking(rng: Rng) -> dict[str, Angles]:
    pose = dict(walking_pose(rng.random(), between(rng, 0.4, 1.25), between(rng, 0.5, 1.3)))
    if chance(rng, 0.4):
        pose |= _arm(rng, _SIDES[int(rng.integers(2))], (0.0, 1.6), (0.1, 0.9), (0.2, 1.9))
    return pose


def _sitting(rng: Rng) -> dict[str, Angles]:
    pose: dict[str, Angles] = {'torso': (between(rng, -0.15, 0.2), 0.0, 0.0)}
    for side in _SIDES:
        pose |= _arm(rng, side, (0.1, 1.1), (0.05, 0.5), (0.3, 1.5))
        pose |= _leg(rng, side, (1.15, 1.65), (0.05, 0.45), (1.1, 1.7))
    return pose


def _bending(rng: Rng) -> dict[str, Angles]:
    lean = between(rng, 0.4, 1.1)
    pose: dict[str, Angles] = {'torso': (-lean, 0.0, between(rng, -0.3, 0.3))}
    for side in _SIDES:
        pose |= _arm(rng, side, (0.3, 1.5), (0.05, 0.6), (0.0, 0.9))
        pose |= _leg(rng, side, (lean - 0.1, lean + 0.35), (0.02, 0.25), (0.0, 0.7))
    return pose


def _waving(rng: Rng) -> dict[str, Angles]:
    pose = _standing(rng)
    for side in _SIDES if chance(rng, 0.5) else (_SIDES[int(rng.integers(2))],):
        pose |= _arm(rng, side, (-0.3, 0.6), (1.5, 2.9), (0.0, 1.3))
    return pose


def _jumping(rng: Rng) -> dict[str, Angles]:
    pose: dict[str, Angles] = {'torso': (between(rng, -0.3, 0.3), between(rng, -0.3, 0.3), 0.0)}
    for side in _SIDES:
        pose |= _arm(rng, side, (-0.8, 2.2), (0.3, 2.3), (0.0, 1.5))
        pose |= _leg(rng, side, (-0.6, 1.2), (0.05, 0.8), (0.0, 1.5))
    return pose


Range = tuple[float, float]


def _arm(rng: Rng, side: str, forward: Range, outward: Range, bend: Range) -> dict[str, Angles]:
    twist = between(rng, -0.7, 0.4)
    upper = between(rng, *forward), between(rng, *outward), twist
    return {
        f'{side}_upper_arm': upper,
        f'{side}_lower_arm': (between(rng, *bend), 0.0, between(rng, -0.5, 0.5)),
    }


def _leg(rng: Rng, side: str, forward: Range, outward: Range, bend: Range) -> dict[str, Angles]:
    upper = between(rng, *forward), between(rng, *outward), between(rng, -0.1, 0.45)
    return {
        f'{side}_upper_leg': upper,
        f'{side}_lower_leg': (-between(rng, *bend), 0.0, 0.0),
        f'{side}_foot': (between(rng, -0.5, 0.2), 0.0, between(rng, 0.0, 0.3)),
    }


def _hands(rng: Rng) -> dict[str, Angles]:
    return {
        f'{side}_hand': (between(rng, -0.2, 0.5), between(rng, -0.3, 0.3), 0.0) for side in _SIDES
    }
