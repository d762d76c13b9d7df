"""Turns and frames of the figures' bones: a few numbers each, the same on every machine.

Frames: x to the right and y down as the viewer sees them, z away from the viewer. A figure that
faces the viewer looks to negative z; its left side is at positive x. Lengths are metres.
"""

import math
from typing import NamedTuple

from mmext.demo.scene import unit_vector
from mmext.demo.solids import Matrix, Row

IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


class Frame(NamedTuple):
    """A frame within another one: a point ``p`` of it is ``matrix p + origin`` there."""

    matrix: Matrix
    origin: Row

    def point(self, own: Row) -> Row:
        """A point of this frame in the other one."""
        x, y, z = turned(self.matrix, own)
        return x + self.origin[0], y + self.origin[1], z + self.origin[2]

    def then(self, inner: 'Frame') -> 'Frame':
        """The frame ``inner``, which lies within this one, in the other one."""
        return Frame(product(self.matrix, inner.matrix), self.point(inner.origin))


def direction(angle: float) -> tuple[float, float]:
    """(cos, sin) of length 1 to the last bit or two, equal on every machine."""
    cos, sin = unit_vector(angle)
    length = math.sqrt(cos * cos + sin * sin)
    return cos / length, sin / length


def rotation(forward: float, outward: float, twist: float) -> Matrix:
    """Turn about the bone's own axis (y), then forward (about x), then to the right side (z).

    Args:
        forward: what hangs down swings to the front, radians.
        outward: what hangs down swings to positive x, the figure's left.
        twist: what looks to the front looks to positive x.
    """
    (cf, sf), (co, so), (ct, st) = direction(forward), direction(outward), direction(twist)
    about_y: Matrix = ((ct, 0.0, -st), (0.0, 1.0, 0.0), (st, 0.0, ct))
    about_x: Matrix = ((1.0, 0.0, 0.0), (0.0, cf, sf), (0.0, -sf, cf))
    about_z: Matrix = ((co, so, 0.0), (-so, co, 0.0), (0.0, 0.0, 1.0))
    return product(about_z, product(about_x, about_y))


def product(a: Matrix, b: Matrix) -> Matrix:
    """The matrix product, added up in one order."""
    columns = tuple(zip(*b, strict=True))
    rows = tuple(tuple(_dot(row, column) for column in columns) for row in a)
    return rows  # type: ignore[return-value]


def turned(matrix: Matrix, point: Row) -> Row:
    """The product with a column."""
    x, y, z = (_dot(row, point) for row in matrix)
    return x, y, z


def _dot(a: Row, b: Row) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
