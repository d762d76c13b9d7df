"""Where stuff lies: signed fields over the world, positive inside, with irregular borders.

A field is a function of world coordinates (:mod:`mmext.demo.scene`); regions
are painted one over the other, so a border seen in a image is that of the
upper one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmext.demo.textures import Floats, Noise, between

Field = Callable[[Floats, Floats], Floats]


def everywhere(x: Floats, y: Floats) -> Floats:
    """The ground below all other regions."""
    return np.ones_like(x)


def half_plane(
    rng: np.random.Generator, normal: tuple[float, float], offset: float, roughness: float
) -> Field:
    """Points with ``normal . (x, y) > offset``, the border moved by up to ``roughness`` units."""
    noise, length = Noise(rng), between(rng, 14, 30)

    def field(x: Floats, y: Floats) -> Floats:
        ragged = noise(x / length, y / length) + 0.3 * noise(x / 5 + 3, y / 5)
        return normal[0] * x + normal[1] * y - offset + roughness * ragged

    return field


def blob(
    rng: np.random.Generator, centre: tuple[float, float], radii: tuple[float, float]
) -> Field:
    """An ellipse with a ragged border; distances in units of its radii."""
    noise = Noise(rng)

    def field(x: Floats, y: Floats) -> Floats:
        u, v = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
        ragged = 0.35 * noise(1.3 * u, 1.3 * v) + 0.08 * noise(5 * u, 5 * v)
        distance: Floats = np.sqrt(u * u + v * v)
        return 1 + ragged - distance

    return field


@dataclass(frozen=True)
class Strip:
    """A road or river: a band that bends and may widen along its way.

    Attributes:
        origin: A point of the middle line, world units.
        direction: Unit vector along the strip.
        half_width: Half the width at the origin, units.
        widening: Growth of the half width per unit along the strip.
        bend: How far the middle line wanders off, units.
        noise: The shape of the bends.
    """

    origin: tuple[float, float]
    direction: tuple[float, float]
    half_width: float
    widening: float
    bend: float
    noise: Noise

    def coordinates(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Distance along the strip in units, and across it in half widths (-1 to 1 inside)."""
        x, y = x - self.origin[0], y - self.origin[1]
        along = x * self.direction[0] + y * self.direction[1]
        across = y * self.direction[0] - x * self.direction[1]
        across = across + self.bend * self.noise(along / 40, np.zeros_like(along))
        return along, across / np.maximum(self.half_width + self.widening * along, 1)

    def __call__(self, x: Floats, y: Floats) -> Floats:
        """The field: 1 on the middle line, 0 on the borders."""
        return 1 - np.abs(self.coordinates(x, y)[1])
