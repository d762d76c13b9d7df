"""Draws landscapes: where stuff lies, which things stand in them, and the light.

One landscape has a ground, perhaps a patch of the other ground, water, a
road, a sky; up to six things with their foot on fitting ground, often two of
a kind touching; on demand a crowd of tiny ones or something that belongs to no
category. What would be too small to be a segment is taken out.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mmext.demo import shapes, textures
from mmext.demo.categories import LABELS
from mmext.demo.regions import Field, Strip, blob, everywhere, half_plane
from mmext.demo.scene import (
    FIRST_THING_KEY,
    VOID_KEY,
    Keys,
    Light,
    Pose,
    Scene,
    Stuff,
    Thing,
    key_areas,
    overlay_things,
    stuff_keys,
    unit_vector,
)
from mmext.demo.shapes import Sprite
from mmext.demo.textures import Noise, Paint, between, chance

Rng = np.random.Generator

MIN_THING_AREA = 180
"""Smallest visible thing, square units."""
MIN_VISIBLE_SHARE = 0.55
"""Smallest share of a thing's pixels in the image that others may leave."""
MIN_STUFF_AREA = 300
"""Smallest total of a stuff class in a image, square units."""

KINDS: dict[str, tuple[Callable[[Rng], Sprite], tuple[str, ...]]] = {
    'ball': (shapes.ball, ('sand', 'grass', 'road', 'water')),
    'crate': (shapes.crate, ('road', 'sand', 'grass')),
    'tree': (shapes.tree, ('grass', 'sand')),
    'mushroom': (shapes.mushroom, ('grass', 'sand')),
    'fish': (shapes.fish, ('water', 'sand')),
}
"""For every kind of thing its factory and the stuff that it is found on."""

TILT = {'ball': 3.1, 'crate': 0.5, 'tree': 0.12, 'mushroom': 0.35, 'fish': 0.7}
"""Largest turn from upright, radians."""


class _Site(NamedTuple):
    """Where things are to be placed: a scene without any, its stuff keys and horizon."""

    scene: Scene
    ground: Keys
    horizon: float


def draw_landscape(
    rng: Rng, width: int, height: int, unit_px: float, oddity: str | None = None
) -> Scene:
    """A random landscape.

    Args:
        rng: The source of every choice.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        unit_px: Pixels per world unit.
        oddity: ``'empty'`` for no things at all, ``'crowd'`` for a crowd,
            ``'rock'`` or ``'post'`` for an unlabelled object, or None.
    """
    extent = width / unit_px, height / unit_px
    horizon = between(rng, 0.12, 0.4) * extent[1] if chance(rng, 0.8) else 0.0
    scene = Scene(
        width=width,
        height=height,
        unit_px=unit_px,
        stuff=_draw_stuff(rng, extent, horizon),
        things=(),
        light=_draw_light(rng),
    )
    site = _Site(scene, stuff_keys(scene), horizon)
    if oddity != 'empty':
        scene = replace(scene, things=_draw_things(rng, site, oddity))
    return _without_slivers(scene, site.ground)


def _draw_stuff(rng: Rng, extent: tuple[float, float], horizon: float) -> list[Stuff]:
    """Regions from the ground up; ``horizon`` 0 is a view from above without sky."""
    grounds: list[tuple[str, Callable[[Rng], Paint]]] = [
        ('grass', textures.grass),
        ('sand', textures.sand),
    ]
    if chance(rng, 0.5):
        grounds.reverse()
    stuff = [Stuff(everywhere, grounds[0][1](rng), LABELS[grounds[0][0]])]
    if chance(rng, 0.5):
        patch = _draw_patch(rng, extent, horizon)
        stuff.append(Stuff(patch, grounds[1][1](rng), LABELS[grounds[1][0]]))
    if chance(rng, 0.6):
        waters = _draw_water(rng, extent, horizon)
        stuff.append(Stuff(waters, textures.water(rng), LABELS['water']))
    if chance(rng, 0.5):
        strip = _draw_road(rng, extent, horizon)
        stuff.append(Stuff(strip, textures.road(rng, strip), LABELS['road']))
    if horizon:
        slope = between(rng, -0.12, 0.12)
        centre = extent[0] / 2
        ridge = half_plane(rng, (-slope, -1.0), -horizon - slope * centre, between(rng, 1, 7))
        stuff.append(Stuff(ridge, textures.sky(rng), LABELS['sky']))
    return stuff


def _draw_patch(rng: Rng, extent: tuple[float, float], horizon: float) -> Field:
    """The other ground: a corner of the image or a blob."""
    if chance(rng, 0.5):
        normal = unit_vector(between(rng, 0, 6.28))
        centre = extent[0] / 2, (horizon + extent[1]) / 2
        offset = normal[0] * centre[0] + normal[1] * centre[1] + between(rng, 0, 25)
        return half_plane(rng, normal, offset, between(rng, 3, 8))
    return _draw_blob(rng, extent, horizon)


def _draw_blob(rng: Rng, extent: tuple[float, float], horizon: float) -> Field:
    centre = between(rng, 0, extent[0]), between(rng, horizon + 15, extent[1])
    return blob(rng, centre, (between(rng, 25, 60), between(rng, 16, 36)))


def _draw_water(rng: Rng, extent: tuple[float, float], horizon: float) -> Field:
    """A sea up to the horizon, a lake or a river."""
    draw = rng.random()
    if horizon and draw < 0.4:
        shore = horizon + between(rng, 0.2, 0.6) * (extent[1] - horizon)
        slope = between(rng, -0.2, 0.2)
        return half_plane(rng, (slope, -1.0), slope * extent[0] / 2 - shore, between(rng, 2, 6))
    if draw < 0.7:
        return _draw_blob(rng, extent, horizon)
    origin = between(rng, 0.2, 0.8) * extent[0], (horizon + extent[1]) / 2
    direction = unit_vector(between(rng, -0.9, 0.9))
    return Strip(origin, direction, between(rng, 9, 16), 0.0, between(rng, 6, 16), Noise(rng))


def _draw_road(rng: Rng, extent: tuple[float, float], horizon: float) -> Strip:
    """A road that passes by or, with a horizon, one that leads there."""
    if horizon and chance(rng, 0.5):
        origin = between(rng, 0.3, 0.7) * extent[0], horizon
        heading = unit_vector(1.5708 + between(rng, -0.45, 0.45))
        return Strip(origin, heading, 4, between(rng, 0.2, 0.34), between(rng, 0, 5), Noise(rng))
    origin = extent[0] / 2, between(rng, horizon + 25, max(horizon + 26, extent[1] - 15))
    heading = unit_vector(between(rng, -0.35, 0.35))
    return Strip(origin, heading, between(rng, 12, 18), 0.0, between(rng, 0, 10), Noise(rng))


def _draw_light(rng: Rng) -> Light:
    exposure, warmth = between(rng, 0.78, 1.15), between(rng, -0.09, 0.09)
    side = -1 if chance(rng, 0.5) else 1
    return Light(
        gain=(exposure * (1 + warmth), exposure, exposure * (1 - warmth)),
        slope=(between(rng, -0.25, 0.25), between(rng, -0.15, 0.15)),
        direction=(side * between(rng, 0.3, 0.8), -0.6),
        shade=Noise(rng),
        shade_depth=between(rng, 0, 0.35),
        grain=int(rng.integers(2, 8)),
        grain_seed=int(rng.integers(2**31)),
    )


def _draw_things(rng: Rng, site: _Site, oddity: str | None) -> list[Thing]:
    """Things back to front: the nearer the foot to the lower border, the nearer."""
    counts = (1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 6, 6)
    things: list[Thing] = []
    for number in range(counts[int(rng.integers(len(counts)))]):
        if things and chance(rng, 0.25):
            other = things[int(rng.integers(len(things)))]
            things.append(_draw_neighbour(rng, other, FIRST_THING_KEY + number))
        else:
            things.append(_draw_thing(rng, site, FIRST_THING_KEY + number))
    if oddity == 'crowd':
        things += _draw_crowd(rng, site, FIRST_THING_KEY + len(things))
    if oddity == 'rock':
        size = between(rng, 9, 18)
        x, y = _draw_place(rng, site, size, ('grass', 'sand'))
        things.append(Thing(shapes.rock(rng), Pose(x, y, size), VOID_KEY, None))
    things.sort(key=lambda thing: thing.pose.y + thing.pose.size)
    if oddity == 'post':
        width, height = site.scene.extent
        pose = Pose(between(rng, 0, width), height / 2, height, between(rng, -0.2, 0.2))
        things.append(Thing(shapes.post(rng), pose, VOID_KEY, None))
    return things


def _draw_kind(rng: Rng) -> str:
    return tuple(KINDS)[int(rng.integers(len(KINDS)))]


def _draw_thing(rng: Rng, site: _Site, key: int) -> Thing:
    kind = _draw_kind(rng)
    factory, habitat = KINDS[kind]
    size = between(rng, 11, 14) if chance(rng, 0.12) else between(rng, 16, 29)
    if kind == 'tree':
        size *= 1.25
    x, y = _draw_place(rng, site, size, habitat)
    pose = Pose(x, y, size, between(rng, -TILT[kind], TILT[kind]))
    return Thing(factory(rng), pose, key, LABELS[kind])


def _draw_neighbour(rng: Rng, other: Thing, key: int) -> Thing:
    """A thing of the same kind and about the same size that touches another one."""
    assert other.label is not None
    kind = tuple(LABELS)[other.label]
    size = other.pose.size * between(rng, 0.8, 1.2)
    side = -1 if chance(rng, 0.5) else 1
    gap = between(rng, 0.72, 0.92) * (size + other.pose.size)
    pose = Pose(
        other.pose.x + side * gap,
        other.pose.y + between(rng, -0.5, 0.5) * size,
        size,
        between(rng, -TILT[kind], TILT[kind]),
    )
    return Thing(KINDS[kind][0](rng), pose, key, other.label)


def _draw_crowd(rng: Rng, site: _Site, key: int) -> list[Thing]:
    """A cluster of many tiny things of one kind, too many to tell apart: one crowd segment."""
    kind = _draw_kind(rng)
    factory, habitat = KINDS[kind]
    x, y = _draw_place(rng, site, 12, habitat)
    members = []
    for _ in range(int(rng.integers(9, 19))):
        pose = Pose(
            x + between(rng, -20, 20),
            y + between(rng, -9, 9),
            between(rng, 4, 6),
            between(rng, -TILT[kind], TILT[kind]),
        )
        members.append(Thing(factory(rng), pose, key, LABELS[kind], is_crowd=True))
    return members


def _draw_place(
    rng: Rng, site: _Site, size: float, habitat: tuple[str, ...]
) -> tuple[float, float]:
    """A centre whose foot stands on the habitat where a few tries find it, else anywhere."""
    width, height = site.scene.extent
    fitting = {1 + LABELS[name] for name in habitat}
    for _ in range(12):
        x = between(rng, 0.02, 0.98) * width
        foot = between(rng, site.horizon + 6, 1.05 * height)
        column = min(max(int(x * site.scene.unit_px), 0), site.scene.width - 1)
        row = min(int(foot * site.scene.unit_px), site.scene.height - 1)
        if int(site.ground[row, column]) in fitting:
            break
    return x, foot - 0.85 * size


def _without_slivers(scene: Scene, ground: Keys) -> Scene:
    """Take out things of which too little is seen, then hide stuff that is too small."""
    pixels_per_area = scene.unit_px * scene.unit_px
    least_areas = {
        key: max(MIN_THING_AREA * pixels_per_area, MIN_VISIBLE_SHARE * area)
        for key, area in _full_areas(scene, ground).items()
    }
    while True:
        areas = key_areas(overlay_things(scene, ground))
        scant = {key for key, least in least_areas.items() if areas.get(key, 0) < least}
        kept = [thing for thing in scene.things if thing.key not in scant]
        if len(kept) == len(scene.things):
            break
        scene = replace(scene, things=kept)
    small = (
        stuff.label
        for stuff in scene.stuff
        if areas.get(1 + stuff.label, 0) < MIN_STUFF_AREA * pixels_per_area
    )
    return replace(scene, hidden=frozenset(small))


def _full_areas(scene: Scene, ground: Keys) -> dict[int, int]:
    """Pixels that each labelled thing or crowd has in the image when nothing hides it."""
    areas = {}
    for key in {thing.key for thing in scene.things if thing.label is not None}:
        alone = replace(scene, things=[thing for thing in scene.things if thing.key == key])
        areas[key] = int(np.count_nonzero(overlay_things(alone, ground) == key))
    return areas
