"""Draws scenes of people: portraits, groups, crowds, odd poses and light, and nobody at all."""

import numpy as np
from numpy.typing import NDArray

from mmext.demo.face_scene import Board, Head, PeopleLight, PeopleScene, point_light
from mmext.demo.head_looks import Look, draw_dummy, draw_look
from mmext.demo.landscape import draw_landscape
from mmext.demo.scene import Pose, photograph
from mmext.demo.shapes import ball, crate, fish, rock, tree
from mmext.demo.solids import Placement, turn
from mmext.demo.textures import between, chance

Rng = np.random.Generator

KINDS = ('portrait', 'group', 'crowd', 'odd', 'nobody')
FACE_UNITS = 1.64
"""Height of a face in units of the head model."""

NUMBERS = {'portrait': (1, 1), 'group': (2, 5), 'crowd': (7, 16), 'odd': (1, 3), 'nobody': (0, 0)}
HEIGHTS = {'portrait': (0.4, 0.8), 'group': (0.13, 0.4), 'crowd': (0.05, 0.16), 'odd': (0.15, 0.5)}
"""Of faces, as a part of the shorter side of the image."""

BLUR_PASSES = (1, 1, 1, 1, 2, 2, 4, 9)
_TRIES = 12
_BOARDS = (ball, crate, rock, fish, tree)


def draw_people(rng: Rng, width: int, height: int, kind: str) -> PeopleScene:
    """A random scene.

    Args:
        rng: the source of every choice.
        width: of the image in pixels.
        height: of the image in pixels.
        kind: one of ``KINDS``.
    """
    background = draw_background(rng, width, height)
    light = draw_light(rng, extreme=kind == 'odd' and chance(rng, 0.5))
    low, high = NUMBERS[kind]
    heads: list[Head] = []
    for _ in range(int(rng.integers(low, high + 1))):
        heads.append(_place(rng, draw_look(rng), width, height, kind, heads))
    for _ in range(int(rng.choice((0, 0, 1, 2))) + (kind == 'nobody')):
        heads.append(_distractor(rng, width, height, kind, heads))
    # who stands lower in the image stands nearer
    heads.sort(key=lambda head: head.placement.y + head.placement.scale)
    items: list[Head | Board] = []
    for head in heads:
        items.append(head)
        if chance(rng, 0.16):
            items.append(_hide(rng, head))
    return PeopleScene(background, items, light)


def draw_background(rng: Rng, width: int, height: int) -> NDArray[np.uint8]:
    """A landscape with its things, drawn at half the size."""
    size = (width + 1) // 2, (height + 1) // 2
    oddity = ('empty', 'rock', None)[int(rng.integers(3))]
    small = photograph(draw_landscape(rng, *size, min(size) / 128, oddity))
    return small.repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def draw_light(rng: Rng, extreme: bool) -> PeopleLight:
    """A light and how the camera takes it; an extreme one comes from the side or is dim."""
    if extreme:
        dark = chance(rng, 0.5)
        angle = between(rng, 1.2, 1.6) * (1 if chance(rng, 0.5) else -1)
        light = point_light(angle, between(rng, -0.1, 0.4)), 0.25, 0.95
        gain = between(rng, 0.35, 0.5) if dark else between(rng, 0.8, 1.1)
    else:
        light = point_light(between(rng, -1, 1), between(rng, 0.2, 0.9)), between(rng, 0.5, 0.75), 0
        gain = between(rng, 0.75, 1.15)
    direction, ambient, diffuse = light
    return PeopleLight(
        direction,
        ambient,
        diffuse or 1.1 - ambient,
        gain,
        extreme,
        blur_passes=int(rng.choice(BLUR_PASSES)),
        grain=int(rng.integers(1, 7)),
        grain_seed=int(rng.integers(1 << 62)),
    )


def _draw_angles(rng: Rng, kind: str) -> tuple[float, float, float]:
    """Yaw, pitch and roll; most people look about straight."""
    if kind == 'odd' and chance(rng, 0.6):
        roll = between(rng, 0.5, 1.6) * (1 if chance(rng, 0.5) else -1)
        return between(rng, -1.3, 1.3), between(rng, -0.6, 0.6), roll
    spread = between(rng, 0, 1)
    yaw = between(rng, -1.1, 1.1) * spread
    return yaw, between(rng, -0.35, 0.35) * spread, between(rng, -0.4, 0.4) * spread


def _place(rng: Rng, person: Look, width: int, height: int, kind: str, others: list[Head]) -> Head:
    """A head where it does not hide the others much, if a few tries find such a place."""
    angles = _draw_angles(rng, kind)
    low, high = HEIGHTS[kind]
    share = rng.random()
    ratio = low + (high - low) * share * share  # more small ones than large ones
    scale = ratio * min(width, height) / FACE_UNITS
    best, best_room = (0.0, 0.0), -1e9
    for _ in range(_TRIES):
        x = between(rng, 0.5 * scale, width - 0.5 * scale)
        y = between(rng, 0.7 * scale, height - 0.7 * scale)
        room = min((_gap(x, y, scale, other) for other in others), default=1.0)
        if room > best_room:
            best, best_room = (x, y), room
        if room >= 1:
            break
    return Head(person, Placement(turn(*angles), scale, *best), angles)


def _gap(x: float, y: float, scale: float, other: Head) -> float:
    """Distance of two heads, relative to where they would touch."""
    place = other.placement
    touch = 0.95 * (scale + place.scale)
    dx, dy = (x - place.x) / touch, (y - place.y) / touch
    return float(np.sqrt(dx * dx + dy * dy))


def _distractor(rng: Rng, width: int, height: int, kind: str, others: list[Head]) -> Head:
    """What is like a face and is none: a head from behind, or one without a face."""
    size = kind if kind != 'nobody' else ('portrait', 'group', 'odd')[int(rng.integers(3))]
    if chance(rng, 0.5):
        return _place(rng, draw_dummy(rng), width, height, size, others)
    head = _place(rng, draw_look(rng), width, height, size, others)
    angles = (3.14159 + between(rng, -0.6, 0.6), head.angles[1], head.angles[2])
    place = head.placement
    return Head(head.look, Placement(turn(*angles), place.scale, place.x, place.y), angles)


def _hide(rng: Rng, head: Head) -> Board:
    """A thing in front of a part of a head."""
    sprite = _BOARDS[int(rng.integers(len(_BOARDS)))](rng)
    place = head.placement
    size = between(rng, 0.35, 0.75) * place.scale
    x = place.x + between(rng, -0.9, 0.9) * place.scale
    y = place.y + between(rng, -0.3, 1.1) * place.scale
    return Board(sprite, Pose(x, y, size, between(rng, -1, 1)))
