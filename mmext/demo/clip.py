"""Moves a landscape: a clip is one scene photographed at several times.

Things roll, slide, turn, come nearer; some cross the way of one of their kind, some enter or
leave the image, in half of the clips the camera pans, and in a quarter it passes a post.
Shapes, surfaces and keys stay with their things, so the segment of an object has one key through
the clip, also where it was hidden or outside for a while.

Poses are given for the middle of the clip; times are frames from there, see
:mod:`mmext.demo.camera`. All motion is linear
arithmetic on floats, equal on every machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mmext.demo import shapes
from mmext.demo.camera import Shot, draw_shots
from mmext.demo.categories import LABELS
from mmext.demo.landscape import KINDS, MIN_STUFF_AREA, TILT, draw_landscape
from mmext.demo.regions import Field
from mmext.demo.scene import (
    FIRST_THING_KEY,
    VOID_KEY,
    Keys,
    Pose,
    Scene,
    Stuff,
    Thing,
    key_areas,
    segment,
)
from mmext.demo.textures import Floats, Paint, between, chance

Rng = np.random.Generator

MIN_SEEN_AREA = 60
"""A thing of which less is seen in a frame is void there, square units."""

SPEED = {'ball': 7.0, 'crate': 4.0, 'tree': 0.0, 'mushroom': 2.0, 'fish': 6.0}
"""Largest speed of each kind of thing, units per frame."""

SPIN = {'ball': 0.25, 'crate': 0.05, 'tree': 0.0, 'mushroom': 0.05, 'fish': 0.08}
"""Fastest turn, radians per frame."""


@dataclass(frozen=True)
class Motion:
    """Constant speed in units, turn in radians and relative growth per frame."""

    dx: float = 0.0
    dy: float = 0.0
    spin: float = 0.0
    growth: float = 0.0

    def move(self, pose: Pose, time: float) -> Pose:
        """The pose ``time`` frames later (or earlier, if negative)."""
        return Pose(
            pose.x + self.dx * time,
            pose.y + self.dy * time,
            pose.size * (1 + self.growth * time),
            pose.angle + self.spin * time,
        )


@dataclass(frozen=True)
class Clip:
    """A scene at its middle, how its things move, and the camera.

    Attributes:
        scene: At the middle of the clip.
        motions: Of each thing of the scene.
        pan: Speed of the camera over the world, units per frame.
        shots: How each frame is taken.
    """

    scene: Scene
    motions: tuple[Motion, ...]
    pan: tuple[float, float]
    shots: tuple[Shot, ...]

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.shots)

    def frame(self, number: int) -> Scene:
        """The scene in one frame, to be photographed."""
        shot = self.shots[number]
        time = shot.time
        pan_x, pan_y = self.pan[0] * time, self.pan[1] * time
        things = []
        for thing, motion in zip(self.scene.things, self.motions, strict=True):
            pose = motion.move(thing.pose, time)
            pose = replace(pose, x=pose.x - pan_x, y=pose.y - pan_y)
            things.append(replace(thing, pose=pose))
        stuff = [
            Stuff(_shifted_field(s.field, pan_x, pan_y), _shifted(s.paint, pan_x, pan_y), s.label)
            for s in self.scene.stuff
        ]
        light = shot.expose(self.scene.light, number, self.scene.unit_px)
        return replace(self.scene, stuff=stuff, things=things, light=light)


def draw_clip(
    rng: Rng, width: int, height: int, unit_px: float, length: int, oddity: str | None = None
) -> Clip:
    """A random clip.

    Args:
        rng: The source of every choice.
        width: Width of the frames in pixels.
        height: Height of the frames in pixels.
        unit_px: Pixels per world unit.
        length: Number of frames.
        oddity: See :func:`~mmext.demo.landscape.draw_landscape`.
    """
    scene = draw_landscape(rng, width, height, unit_px, oddity)
    movers = _set_in_motion(rng, scene)
    if oddity != 'empty':
        movers += _draw_visitors(rng, scene, movers, length)
        movers.sort(key=lambda mover: mover[0].pose.y + mover[0].pose.size)
    pan = (0.0, 0.0)
    if chance(rng, 0.5):
        pan = between(rng, -3, 3), between(rng, -0.6, 0.6)
    shots = draw_shots(rng, length)
    if oddity != 'empty' and chance(rng, 0.25):
        movers.append(_draw_post(rng, scene))
    scene = replace(scene, things=[thing for thing, _ in movers])
    return Clip(scene, tuple(motion for _, motion in movers), pan, shots)


def frame_keys(scene: Scene) -> Keys:
    """The segment map of one frame; of what too little is seen becomes void."""
    keys = segment(scene)
    pixels_per_area = scene.unit_px * scene.unit_px
    for key, area_px in key_areas(keys).items():
        least = MIN_SEEN_AREA if key >= FIRST_THING_KEY else MIN_STUFF_AREA
        if area_px < least * pixels_per_area:
            keys[keys == key] = VOID_KEY
    return keys


def _set_in_motion(rng: Rng, scene: Scene) -> list[tuple[Thing, Motion]]:
    """The things of a landscape with motions; a crowd moves as one, what has no class stands."""
    motions: dict[int, Motion] = {VOID_KEY: Motion()}
    for thing in scene.things:
        if thing.key not in motions:
            assert thing.label is not None
            motions[thing.key] = _draw_motion(rng, tuple(LABELS)[thing.label])
    return [(thing, motions[thing.key]) for thing in scene.things]


def _draw_motion(rng: Rng, kind: str) -> Motion:
    side = -1 if chance(rng, 0.5) else 1
    speed = side * between(rng, 0.3, 1) * SPEED[kind]
    spin = between(rng, -1, 1) * SPIN[kind]
    return Motion(speed, between(rng, -0.15, 0.15) * speed, spin, between(rng, -0.015, 0.015))


def _draw_visitors(
    rng: Rng, scene: Scene, movers: list[tuple[Thing, Motion]], length: int
) -> list[tuple[Thing, Motion]]:
    """Things that the landscape has not: one that crosses another, some that enter or leave."""
    key = max([FIRST_THING_KEY, *(thing.key + 1 for thing, _ in movers)])
    visitors = []
    partners = [mover for mover in movers if mover[0].label is not None and not mover[0].is_crowd]
    if partners and chance(rng, 0.6):
        other = partners[int(rng.integers(len(partners)))]
        visitors.append(_draw_crossing(rng, other, key, length))
    for _ in range(int(rng.integers(0, 3))):
        visitors.append(_draw_passing(rng, scene, key + len(visitors), length))
    return visitors


def _draw_crossing(
    rng: Rng, other: tuple[Thing, Motion], key: int, length: int
) -> tuple[Thing, Motion]:
    """A thing of the same kind that meets another one during the clip."""
    partner, partner_motion = other
    assert partner.label is not None
    kind = tuple(LABELS)[partner.label]
    approach = between(rng, 6, 11) * (-1 if chance(rng, 0.5) else 1)
    meeting = between(rng, -0.25, 0.25) * length
    motion = replace(_draw_motion(rng, kind), dx=partner_motion.dx + approach, dy=partner_motion.dy)
    pose = Pose(
        partner.pose.x - approach * meeting,
        partner.pose.y + between(rng, -0.35, 0.35) * partner.pose.size,
        partner.pose.size * between(rng, 0.8, 1.2),
        between(rng, -TILT[kind], TILT[kind]),
    )
    return Thing(KINDS[kind][0](rng), pose, key, partner.label), motion


def _draw_passing(rng: Rng, scene: Scene, key: int, length: int) -> tuple[Thing, Motion]:
    """A ball, crate or fish that comes over the left or right border, or leaves over it."""
    kind = ('ball', 'crate', 'fish')[int(rng.integers(3))]
    width, height = scene.extent
    size = between(rng, 14, 26)
    at_right, enters = chance(rng, 0.5), chance(rng, 0.5)
    outwards = 1 if at_right else -1
    speed = between(rng, 5, 10) * (-outwards if enters else outwards)
    border = width if at_right else 0.0
    time = between(rng, -0.4, 0.4) * length  # when its centre is on the border
    pose = Pose(
        border - speed * time,
        between(rng, 0.5, 1) * height - 0.85 * size,
        size,
        between(rng, -TILT[kind], TILT[kind]),
    )
    motion = replace(_draw_motion(rng, kind), dx=speed, dy=0.05 * speed)
    return Thing(KINDS[kind][0](rng), pose, key, LABELS[kind]), motion


def _draw_post(rng: Rng, scene: Scene) -> tuple[Thing, Motion]:
    """A post beside the camera's way: for a frame or two it hides what is behind it."""
    width, height = scene.extent
    speed = between(rng, 25, 50) * (-1 if chance(rng, 0.5) else 1)
    pose = Pose(
        width / 2 + between(rng, -1, 1) * speed,
        height / 2,
        between(rng, 2, 3) * height,
        between(rng, -0.15, 0.15),
    )
    return Thing(shapes.post(rng), pose, VOID_KEY, None), Motion(speed)


def _shifted_field(field: Field, dx: float, dy: float) -> Field:
    def shifted(x: Floats, y: Floats) -> Floats:
        return field(x + dx, y + dy)

    return shifted


def _shifted(paint: Paint, dx: float, dy: float) -> Callable[[Floats, Floats], Floats]:
    def shifted(x: Floats, y: Floats) -> Floats:
        return paint(x + dx, y + dy)

    return shifted
