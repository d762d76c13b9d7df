"""Procedural surfaces: a drawn texture is a function from coordinates to RGB.

Every factory takes a random generator, draws the look once (colors, noise
tables, stripe widths) and returns ``paint(x, y)``, which may be called at any
coordinates and always gives the same color at the same place: a texture can
be attached to the world or to a moving object. Coordinates of the surfaces
are world units (see :mod:`mmext.demo.scene`), colors float32 RGB, 0-255.

Same pixels on every machine: random numbers come from PCG64 as integers or
:meth:`~numpy.random.Generator.random`, and the arithmetic is elementwise
``+ - * / sqrt floor`` only, which IEEE 754 defines to the last bit. No
transcendental function, no matrix product and no float sum takes part.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mmext.demo.regions import Strip

Floats = NDArray[np.floating[Any]]
Bools = NDArray[np.bool_]
Color = Sequence[float]
Paint = Callable[[Floats, Floats], Floats]


class Noise:
    """Smooth noise in [-1, 1]: random values on a wrapped lattice, blended between nodes.

    Call it with coordinates in lattice cells; it repeats every ``CELLS`` cells.
    """

    CELLS = 32

    def __init__(self, rng: np.random.Generator) -> None:
        table = rng.integers(-255, 256, (self.CELLS, self.CELLS))
        self._table = (table / 255).astype(np.float32).ravel()

    def __call__(self, x: Floats, y: Floats) -> Floats:
        x_floor, y_floor = np.floor(x), np.floor(y)
        column, row = x_floor.astype(np.int64), y_floor.astype(np.int64)
        left, right = column % self.CELLS, (column + 1) % self.CELLS
        above, below = row % self.CELLS * self.CELLS, (row + 1) % self.CELLS * self.CELLS
        x_step, y_step = smoothstep(x - x_floor), smoothstep(y - y_floor)
        table = self._table
        top = mix(table[above + left], table[above + right], x_step)
        bottom = mix(table[below + left], table[below + right], x_step)
        return mix(top, bottom, y_step)


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """A uniform number in [low, high); unlike ``rng.uniform`` equal to the bit everywhere."""
    return low + (high - low) * rng.random()


def chance(rng: np.random.Generator, probability: float) -> bool:
    """True with the given probability."""
    return rng.random() < probability


def mix(a: Floats, b: Floats, share: Floats) -> Floats:
    """From ``a`` (share 0) to ``b`` (share 1)."""
    return a + (b - a) * share


def smoothstep(t: Floats) -> Floats:
    """0 up to t = 0, 1 from t = 1 on, a smooth ramp between."""
    ramp: Floats = np.clip(t, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def wave(t: Floats) -> Floats:
    """Triangle wave of period 1: 0 at whole numbers, 1 half-way."""
    distance: Floats = np.abs(2 * (t - np.floor(t)) - 1)
    return 1 - distance


def rgb(color: Color) -> Floats:
    """The color as an array [3]."""
    return np.asarray(color, np.float32)


def blend(a: Color, b: Color, share: Floats) -> Floats:
    """Color between ``a`` and ``b`` for each element of ``share``: [...] -> [..., 3]."""
    return mix(rgb(a), rgb(b), share[..., None])


def tone(
    rng: np.random.Generator, a: Color, b: Color, jitter: float = 12
) -> tuple[float, float, float]:
    """A color drawn between ``a`` and ``b``, each channel moved by up to ``jitter``."""
    share = rng.random()
    red, green, blue = (
        p + (q - p) * share + between(rng, -jitter, jitter) for p, q in zip(a, b, strict=True)
    )
    return red, green, blue


def sky(rng: np.random.Generator) -> Paint:
    """Clear, grey or evening sky, paler towards the horizon, with soft clouds."""
    zenith = ((70, 120, 205), (120, 140, 165), (125, 105, 165))[int(rng.choice((0, 0, 0, 1, 1, 2)))]
    high = tone(rng, zenith, (95, 150, 215))
    low = tone(rng, (190, 205, 225), (235, 200, 175))
    cloud = tone(rng, (225, 225, 230), (250, 248, 240))
    noise, cover, depth = Noise(rng), between(rng, -0.2, 0.5), between(rng, 45, 90)

    def paint(x: Floats, y: Floats) -> Floats:
        puffs = noise(x / 26, y / 11) + 0.5 * noise(x / 9 + 7, y / 5)
        base = blend(high, low, np.clip(y / depth, 0, 1))
        return mix(base, rgb(cloud), 0.8 * smoothstep(puffs - cover)[..., None])

    return paint


def grass(rng: np.random.Generator) -> Paint:
    """Blades: noise stretched upright, over drier and lusher patches."""
    lush = tone(rng, (50, 110, 35), (85, 135, 45))
    dry = tone(rng, (120, 140, 55), (150, 145, 80))
    noise, dryness = Noise(rng), between(rng, -0.3, 0.6)

    def paint(x: Floats, y: Floats) -> Floats:
        patches = smoothstep(0.5 + dryness + noise(x / 22, y / 12) * 0.8 - 0.2)
        blades = noise(x / 1.3, y / 4.5) * 30 + noise(x / 2.5 + 9, y / 7) * 14
        return blend(lush, dry, patches) + blades[..., None] * rgb((0.9, 1, 0.5))

    return paint


def water(rng: np.random.Generator) -> Paint:
    """Ripples: level stripes bent by noise, glinting; from blue to green."""
    deep = tone(rng, (25, 70, 115), (40, 105, 110))
    bright = tone(rng, (95, 150, 190), (120, 180, 185))
    noise, period = Noise(rng), between(rng, 5, 8)

    def paint(x: Floats, y: Floats) -> Floats:
        swell = wave(y / period + 0.8 * noise(x / 16, y / 9))
        glint = smoothstep(3 * noise(x / 6, y / 1.7) - 1.6)
        return blend(deep, bright, 0.75 * swell * swell + 0.1) + 70 * glint[..., None]

    return paint


def sand(rng: np.random.Generator) -> Paint:
    """Fine grain over low slanting dunes."""
    light = tone(rng, (215, 190, 135), (235, 205, 165))
    dark = tone(rng, (175, 145, 95), (190, 150, 115))
    noise, slant, period = Noise(rng), between(rng, -0.6, 0.6), between(rng, 16, 30)

    def paint(x: Floats, y: Floats) -> Floats:
        dunes = wave((y + slant * x) / period + 0.7 * noise(x / 30, y / 20))
        grain = noise(x / 1.1, y / 1.1) * 18
        return blend(light, dark, 0.7 * dunes * dunes) + grain[..., None]

    return paint


def road(rng: np.random.Generator, strip: 'Strip') -> Paint:
    """Asphalt with speckle, worn tracks and, mostly, painted lines along ``strip``."""
    asphalt = tone(rng, (85, 85, 90), (135, 128, 120))
    line = tone(rng, (225, 225, 220), (235, 205, 110))
    noise, marked, dash = Noise(rng), chance(rng, 0.75), between(rng, 16, 26)

    def paint(x: Floats, y: Floats) -> Floats:
        along, across = strip.coordinates(x, y)
        wear = noise(x / 1.2, y / 1.2) * 13 + noise(along / 30, across * 3) * 14
        surface = rgb(asphalt) + wear[..., None]
        if marked:
            edge = np.abs(np.abs(across) - 0.84) < 0.05
            centre = (np.abs(across) < 0.06) & (wave(along / dash) > 0.45)
            surface = np.where((edge | centre)[..., None], rgb(line), surface)
        return surface

    return paint
