"""The body of the generated figures: 14 solids on a skeleton, one for each part of DensePose.

Every solid is a capsule with an elliptic cross section (an ellipsoid if it has no length), so
that a ray meets it in closed form. Bones hang down from their joints, in frames of their own
(:mod:`mmext.demo.figure_frames`); a pose turns them. Lengths are metres, of a person of 1.7 m.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from mmext.demo.figure_frames import IDENTITY, Frame, rotation
from mmext.demo.solids import Matrix, Row
from mmext.formats.landmark_sets import LANDMARK_SETS

HEIGHT = 1.7
"""Metres, of the body without any change of its shape."""

SOLIDS = (
    *('torso', 'right_hand', 'left_hand', 'left_foot', 'right_foot'),
    *('right_upper_leg', 'left_upper_leg', 'right_lower_leg', 'left_lower_leg'),
    *('left_upper_arm', 'right_upper_arm', 'left_lower_arm', 'right_lower_arm', 'head'),
)
"""In the order of the 14 masks of DensePose: mask ``k`` is solid ``k - 1``."""

POINTS = LANDMARK_SETS['coco'].keypoints
"""COCO's 17 key points."""

_JOINTS = {
    'shoulder': ('torso', 'upper_arm'),
    'elbow': ('upper_arm', 'lower_arm'),
    'wrist': ('lower_arm', 'hand'),
    'hip': ('torso', 'upper_leg'),
    'knee': ('upper_leg', 'lower_leg'),
    'ankle': ('lower_leg', 'foot'),
}
"""The solids that each joint joins; the second one hangs there."""

_FLESH_RATIO = 1.6  # of the radius around a joint: it is seen through so much of its own limb
_SKIN = {'nose': 0.02, 'eye': 0.02, 'ear': 0.06}  # metres behind the surface that count as seen
_FORWARD: Matrix = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0))  # a foot's axis: its toes

Angles = tuple[float, float, float]
"""How a bone is turned at its joint: forward, outward (from the body), twist (outward), radians."""


class Capsule(NamedTuple):
    """A solid in the frame of its bone.

    Attributes:
        frame: of the solid: its axis is y.
        half_length: of the axis between the middles of the caps.
        radii: along x, y and z; that of y is the height of the caps.
    """

    frame: Frame
    half_length: float
    radii: Row


class Bone(NamedTuple):
    """A bone: where it hangs and the solid on it; ``joint`` is in the frame of the parent."""

    name: str
    parent: str | None
    joint: Row
    solid: Capsule


class Shape(NamedTuple):
    """How a person differs from the body of 1.7 m: factors."""

    legs: float = 1.0
    arms: float = 1.0
    torso: float = 1.0
    girth: float = 1.0
    head: float = 1.0


class Landmark(NamedTuple):
    """A key point.

    Attributes:
        bone: in whose frame it is.
        point: its place there.
        solids: numbers of those that it joins or lies on.
        flesh: of these at most before it where it is seen, metres.
    """

    bone: str
    point: Row
    solids: tuple[int, ...]
    flesh: float


def build_body(shape: Shape) -> tuple[Bone, ...]:
    """The bones of a person, parents first."""
    g = shape.girth
    height, shoulder = 0.42 * shape.torso, 0.125 + 0.05 * g
    cap = 0.12
    torso = _hanging(-0.44 * shape.torso - 0.12 + cap, height, (0.165 * g, cap, 0.105 * g))
    bones = [Bone('torso', None, (0.0, 0.0, 0.0), torso)]
    top = -0.44 * shape.torso - 0.12
    radii = (0.085 * shape.head, 0.125 * shape.head, 0.1 * shape.head)
    head = Capsule(Frame(IDENTITY, (0.0, -radii[1] + 0.015, -0.01)), 0.0, radii)
    bones.append(Bone('head', 'torso', (0.0, top, 0.0), head))
    for name, side in (('left', 1.0), ('right', -1.0)):
        arm, upper, lower = side * shoulder, 0.28 * shape.arms, 0.25 * shape.arms
        bones += [
            _limb(f'{name}_upper_arm', 'torso', (arm, top + 0.1, 0.0), upper, 0.05 * g),
            _limb(f'{name}_lower_arm', f'{name}_upper_arm', (0.0, upper, 0.0), lower, 0.041 * g),
            Bone(f'{name}_hand', f'{name}_lower_arm', (0.0, lower, 0.0), _hand(g)),
        ]
        leg, thigh, shin = side * (0.04 + 0.05 * g), 0.42 * shape.legs, 0.41 * shape.legs
        bones += [
            _limb(f'{name}_upper_leg', 'torso', (leg, 0.02, 0.0), thigh, 0.082 * g),
            _limb(f'{name}_lower_leg', f'{name}_upper_leg', (0.0, thigh, 0.0), shin, 0.06 * g),
            Bone(f'{name}_foot', f'{name}_lower_leg', (0.0, shin, 0.0), _foot(g)),
        ]
    return tuple(bones)


def place_body(
    bones: Sequence[Bone], pose: Mapping[str, Angles], view: Matrix = IDENTITY
) -> dict[str, Frame]:
    """The frame of every bone of a posed body; the middle of the hips is the origin.

    Args:
        bones: parents first.
        pose: angles of the bones that are turned, by name; outward is away from the body.
        view: how the whole body is turned.
    """
    placed: dict[str, Frame] = {}
    for bone in bones:
        forward, outward, twist = pose.get(bone.name, (0.0, 0.0, 0.0))
        side = -1.0 if bone.name.startswith('right') else 1.0
        own = Frame(rotation(forward, side * outward, side * twist), bone.joint)
        outer = Frame(view, (0.0, 0.0, 0.0)) if bone.parent is None else placed[bone.parent]
        placed[bone.name] = outer.then(own)
    return placed


def place_solids(bones: Sequence[Bone], placed: Mapping[str, Frame]) -> list[Frame]:
    """The frames of the solids, in the order of ``SOLIDS``."""
    of_name = {bone.name: bone for bone in bones}
    return [placed[name].then(of_name[name].solid.frame) for name in SOLIDS]


def landmarks(bones: Sequence[Bone]) -> list[Landmark]:
    """COCO's 17 points of a body, in its bones' frames."""
    solids = {bone.name: bone.solid for bone in bones}
    return [_landmark(name, solids) for name in POINTS]


def _landmark(name: str, solids: Mapping[str, Capsule]) -> Landmark:
    side, _, point = name.rpartition('_')
    if point in _JOINTS:
        above, hanging = (
            solid if solid == 'torso' else f'{side}_{solid}' for solid in _JOINTS[point]
        )
        width = max(solids[above].radii[2], solids[hanging].radii[2])
        # a foot points at the viewer of a person's front
        flesh = 2 * solids[hanging].radii[1] if point == 'ankle' else _FLESH_RATIO * width
        joined = SOLIDS.index(above), SOLIDS.index(hanging)
        return Landmark(hanging, (0.0, 0.0, 0.0), joined, flesh)
    head = solids['head']
    x, y = {'nose': (0.0, 0.2), 'eye': (0.42, -0.12), 'ear': (0.93, 0.05)}[point]
    depth = 0.0 if point == 'ear' else -math.sqrt(1 - x * x - y * y)
    sign = -1.0 if side == 'right' else 1.0
    place = (sign * x * head.radii[0], y * head.radii[1], depth * head.radii[2])
    return Landmark('head', head.frame.point(place), (SOLIDS.index('head'),), _SKIN[point])


def _hanging(top: float, length: float, radii: Row) -> Capsule:
    """A capsule whose axis begins at ``top`` and goes down by ``length``."""
    return Capsule(Frame(IDENTITY, (0.0, top + length / 2, 0.0)), length / 2, radii)


def _limb(name: str, parent: str, joint: Row, length: float, radius: float) -> Bone:
    return Bone(name, parent, joint, _hanging(0.0, length, (radius, radius, 1.06 * radius)))


def _hand(girth: float) -> Capsule:
    radii = (0.026 * girth, 0.095, 0.048)
    return Capsule(Frame(IDENTITY, (0.0, 0.07, -0.004)), 0.0, radii)


def _foot(girth: float) -> Capsule:
    return Capsule(Frame(_FORWARD, (0.0, 0.025, -0.065)), 0.0, (0.05 * girth, 0.14, 0.05))
