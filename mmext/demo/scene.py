"""A scene: stuff regions and things with poses, and the camera that images them.

The scene holds everything that is to be seen; :func:`segment` tells what each
pixel belongs to and :func:`photograph` how it looks. Both are functions of the
scene alone, so a clip is one scene photographed with changed poses
(:func:`dataclasses.replace`): shapes, surfaces and keys stay with their things.

World unit: 1/128 of the nominal image's shorter side; x to the right, y
down, origin in the upper left corner. A pixel takes the value at its centre.

Keys: 0 is void, ``1 + label`` a stuff class, from ``FIRST_THING_KEY`` on
things; crowd members share theirs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mmext.demo.regions import Field
from mmext.demo.shapes import Sprite
from mmext.demo.textures import Floats, Noise, Paint, rgb, smoothstep

VOID_KEY = 0
FIRST_THING_KEY = 1000

LAMP_GAIN = 2.2
"""How much brighter things are under a lamp."""
LAMP_COLOR = (28.0, 22.4, 12.6)
"""What is seen of the lamp's own light, grey levels."""

Keys = NDArray[np.int32]
Window = tuple[slice, slice]


@dataclass(frozen=True)
class Pose:
    """Where a sprite stands: centre and half size in units, clockwise angle in radians."""

    x: float
    y: float
    size: float
    angle: float = 0.0


@dataclass(frozen=True)
class Thing:
    """A sprite in the scene; label None and ``VOID_KEY`` if it is left unlabelled."""

    sprite: Sprite
    pose: Pose
    key: int
    label: int | None
    is_crowd: bool = False


@dataclass(frozen=True)
class Stuff:
    """A region with its surface; it covers the points where ``field`` is positive."""

    field: Field
    paint: Paint
    label: int


@dataclass(frozen=True)
class Lamp:
    """A warm lamp that lights what is around it.

    Attributes:
        x, y: Where it hangs, units.
        reach: Distance at which its light has fallen to about 60 %, units.
    """

    x: float
    y: float
    reach: float

    def glow(self, x: Floats, y: Floats) -> Floats:
        """From 1 at the lamp to 0: near a Gaussian, by products alone (see textures)."""
        right, down = (x - self.x) / self.reach, (y - self.y) / self.reach
        glow = np.clip(1 - (right * right + down * down) / 16, 0, 1)
        for _ in range(3):
            glow = glow * glow
        return glow


@dataclass(frozen=True)
class Light:
    """What changes the look and not the ground truth.

    Attributes:
        gain: Exposure and tint, a factor for R, G and B.
        slope: Relative change of brightness across the width and the height.
        direction: Where things are lit from, as a vector of length up to 1.
        shade: Pattern of cloud shadows.
        shade_depth: Darkest share that a cloud shadow takes away.
        grain: Largest deviation of the sensor noise, grey levels.
        grain_seed: Seed of the sensor noise; change it from frame to frame.
        blur_px: Half widths in x and y of what the lens smears a point over, pixels.
        lamps: What is lit beside that.
    """

    gain: tuple[float, float, float]
    slope: tuple[float, float]
    direction: tuple[float, float]
    shade: Noise
    shade_depth: float
    grain: int
    grain_seed: int
    blur_px: tuple[int, int] = (0, 0)
    lamps: tuple[Lamp, ...] = ()


@dataclass(frozen=True)
class Scene:
    """The world in one moment; later stuff and things hide earlier ones.

    Attributes:
        width: Picture width in pixels.
        height: Picture height in pixels.
        unit_px: Pixels per world unit.
        stuff: Regions, the first one covers everything.
        things: Back to front.
        light: The lighting and the camera's noise.
        hidden: Labels of stuff too small to be a segment: their pixels are void.
    """

    width: int
    height: int
    unit_px: float
    stuff: Sequence[Stuff]
    things: Sequence[Thing]
    light: Light
    hidden: frozenset[int] = frozenset()

    @property
    def extent(self) -> tuple[float, float]:
        """Width and height in world units."""
        return self.width / self.unit_px, self.height / self.unit_px


def unit_vector(angle: float) -> tuple[float, float]:
    """(cos, sin), rounded to 16 bits so that every machine's library gives the same."""
    return round(math.cos(angle) * 65536) / 65536, round(math.sin(angle) * 65536) / 65536


def segment(scene: Scene) -> Keys:
    """The key of what is seen in each pixel: int32 [height, width]."""
    return overlay_things(scene, stuff_keys(scene))


def stuff_keys(scene: Scene) -> Keys:
    """The keys without the things: int32 [height, width]."""
    regions = _stuff_regions(scene, *_grid(scene))
    keys = [VOID_KEY if stuff.label in scene.hidden else 1 + stuff.label for stuff in scene.stuff]
    return np.asarray(keys, np.int32)[regions]


def overlay_things(scene: Scene, ground: Keys) -> Keys:
    """The keys of the scene's things over ``ground``, which stays unchanged."""
    keys = ground.copy()
    for thing, window, u, v in _placed(scene):
        keys[window][thing.sprite.covers(u, v)] = thing.key
    return keys


def photograph(scene: Scene) -> NDArray[np.uint8]:
    """The image of the scene: uint8 RGB [height, width, 3]."""
    x, y = _grid(scene)
    canvas = _stuff_colors(scene, x, y)
    for thing, window, u, v in _placed(scene):
        _cast_shadow(scene, canvas, x, y, thing)
        covered = thing.sprite.covers(u, v)
        colors = thing.sprite.paint(u[covered], v[covered])
        shading = _shading(scene, x[window][covered], y[window][covered], thing.pose)
        canvas[window][covered] = colors * shading[..., None]
    return _expose(scene, canvas, x, y)


def _grid(scene: Scene) -> tuple[Floats, Floats]:
    """World coordinates of the pixel centres: x, y, each [height, width]."""
    x = (np.arange(scene.width, dtype=np.float32) + 0.5) / np.float32(scene.unit_px)
    y = (np.arange(scene.height, dtype=np.float32) + 0.5) / np.float32(scene.unit_px)
    shape = (scene.height, scene.width)
    return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)


def _stuff_regions(scene: Scene, x: Floats, y: Floats) -> NDArray[np.intp]:
    """Index of the uppermost stuff in each pixel."""
    regions = np.zeros(x.shape, np.intp)
    for index, stuff in enumerate(scene.stuff):
        regions[stuff.field(x, y) > 0] = index
    return regions


def _stuff_colors(scene: Scene, x: Floats, y: Floats) -> Floats:
    regions = _stuff_regions(scene, x, y)
    canvas = np.empty((*x.shape, 3), np.float32)
    for index, stuff in enumerate(scene.stuff):
        inside = regions == index
        canvas[inside] = stuff.paint(x[inside], y[inside])
    return canvas


def _placed(scene: Scene) -> Iterator[tuple[Thing, Window, Floats, Floats]]:
    """Things back to front with the pixels that they may cover, in their own frame."""
    x, y = _grid(scene)
    for thing in scene.things:
        pose = thing.pose
        window = _window(scene, pose.x, pose.y, 1.42 * pose.size, 1.42 * pose.size)
        cos, sin = unit_vector(pose.angle)
        right, down = (x[window] - pose.x) / pose.size, (y[window] - pose.y) / pose.size
        u, v = right * cos + down * sin, down * cos - right * sin
        yield thing, window, u, v


def _window(scene: Scene, x: float, y: float, reach_x: float, reach_y: float) -> Window:
    """The pixels around (x, y) within the reach, clipped to the image (may be empty)."""

    def span(centre: float, reach: float, size: int) -> slice:
        low = math.floor((centre - reach) * scene.unit_px)
        high = math.ceil((centre + reach) * scene.unit_px)
        return slice(min(max(low, 0), size), min(max(high, 0), size))

    return span(y, reach_y, scene.height), span(x, reach_x, scene.width)


def _cast_shadow(scene: Scene, canvas: Floats, x: Floats, y: Floats, thing: Thing) -> None:
    """Darken the ground at the foot of a thing, away from the light."""
    pose = thing.pose
    foot_x, foot_y = pose.x - 0.4 * scene.light.direction[0] * pose.size, pose.y + 0.88 * pose.size
    reach_x, reach_y = 1.05 * pose.size, 0.3 * pose.size
    window = _window(scene, foot_x, foot_y, reach_x, reach_y)
    right, down = (x[window] - foot_x) / reach_x, (y[window] - foot_y) / reach_y
    canvas[window] *= (1 - 0.5 * smoothstep(1 - right * right - down * down))[..., None]


def _shading(scene: Scene, x: Floats, y: Floats, pose: Pose) -> Floats:
    """Brightness over a thing: towards the light brighter, darker at the rim."""
    right, down = (x - pose.x) / pose.size, (y - pose.y) / pose.size
    lit = right * scene.light.direction[0] + down * scene.light.direction[1]
    return 1.08 + 0.24 * lit - 0.14 * (right * right + down * down)


def _expose(scene: Scene, canvas: Floats, x: Floats, y: Floats) -> NDArray[np.uint8]:
    """Light, lens and sensor: factors, a blur of one pixel, noise, 8 bits."""
    light, (width, height) = scene.light, scene.extent
    brightness = 1 + light.slope[0] * (x / width - 0.5) + light.slope[1] * (y / height - 0.5)
    shade = smoothstep(2 * light.shade(x / 50, y / 30)) * smoothstep(3 * y / height - 0.5)
    brightness = brightness * (1 - light.shade_depth * shade)
    lit = canvas * brightness[..., None] * rgb(light.gain)
    for lamp in light.lamps:
        glow = lamp.glow(x, y)[..., None]
        lit = lit * (1 + LAMP_GAIN * glow) + glow * rgb(LAMP_COLOR)
    image = soften(np.clip(np.floor(lit + 0.5), 0, 255).astype(np.int32))
    for axis, reach in zip((1, 0), light.blur_px, strict=True):
        image = smear(image, reach, axis)
    rng = np.random.Generator(np.random.PCG64(light.grain_seed))
    image += rng.integers(-light.grain, light.grain + 1, image.shape, np.int16)
    return np.clip(image, 0, 255).astype(np.uint8)


def soften(image: NDArray[np.int32]) -> NDArray[np.int32]:
    """The lens: (1 2 1)/4 along both axes, in integers, borders repeated."""
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode='edge')
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    both: NDArray[np.int32] = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    return (both + 8) >> 4


def smear(image: NDArray[np.int32], reach: int, axis: int) -> NDArray[np.int32]:
    """The mean over ``reach`` pixels on both sides along an axis, in integers, borders repeated."""
    if reach == 0:
        return image
    pad = [(0, 0)] * image.ndim
    pad[axis] = (reach + 1, reach)
    sums = np.cumsum(np.pad(image, pad, mode='edge'), axis=axis, dtype=np.int32)
    width, count = 2 * reach + 1, image.shape[axis]
    ends = np.take(sums, range(width, width + count), axis)
    starts = np.take(sums, range(count), axis)
    mean: NDArray[np.int32] = (ends - starts + reach) // width
    return mean


def key_areas(keys: Keys) -> dict[int, int]:
    """Pixels of every key that is seen."""
    values, counts = np.unique(keys, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
