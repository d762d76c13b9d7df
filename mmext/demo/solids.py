"""Solids made of ellipsoids, seen from any side: what the generated heads are built of.

A solid is a list of parts in its own frame: x to the right, y down, z away from the viewer who
sees its front, any unit. A pose turns, scales and shifts it; the image is a parallel
projection, so that a point of the solid lands in the image by one affine map, exactly.

Every pixel is a ray, cut with every ellipsoid in closed form; the nearest cut that the part keeps
is seen. Only ``+ - * / sqrt`` are used, element by element (see :mod:`mmext.demo.textures`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.demo.scene import unit_vector
from mmext.demo.textures import Bools, Floats

Row = tuple[float, float, float]
Matrix = tuple[Row, Row, Row]
Vector = tuple[Floats, Floats, Floats]
Keep = Callable[[Vector], Bools]
PaintSolid = Callable[[Vector], Floats]
_FAR = np.float32(1e9)


class Part(NamedTuple):
    """An ellipsoid, or what is kept of its surface.

    Attributes:
        centre: in the frame of the solid.
        radii: along its axes.
        paint: RGB ``[..., 3]`` at points of the surface.
        keep: which points of the surface there are; None keeps all.
        tag: number that tells parts apart in the result.
    """

    centre: Row
    radii: Row
    paint: PaintSolid
    keep: Keep | None = None
    tag: int = 0


@dataclass(frozen=True)
class Placement:
    """Where a solid stands: ``matrix`` turns it, ``scale`` is pixels per unit, ``x``, ``y`` px."""

    matrix: Matrix
    scale: float
    x: float
    y: float

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points ``[..., 3]`` of the solid in the image: x, y and depth in pixels."""
        columns = [points[..., i] * self.scale for i in range(3)]
        turned = [sum_of(row, columns) for row in self.matrix]
        return np.stack([turned[0] + self.x, turned[1] + self.y, turned[2]], axis=-1)


@dataclass(frozen=True)
class View:
    """What is seen of a solid in each pixel of a window.

    Attributes:
        colors: RGB without light ``[h, w, 3]``, 0 where nothing is.
        normals: of the surface, in the frame of the viewer ``[h, w, 3]``.
        tags: of the part, -1 where nothing is ``[h, w]``.
        depth: of the surface in units of the solid, ``[h, w]``.
    """

    colors: Floats
    normals: Floats
    tags: NDArray[np.int8]
    depth: Floats


def turn(yaw: float, pitch: float, roll: float) -> Matrix:
    """Turn by ``yaw`` (to the right), then ``pitch`` (down), then ``roll`` (clockwise), radians."""
    (cy, sy), (cp, sp), (cr, sr) = unit_vector(yaw), unit_vector(pitch), unit_vector(roll)
    x_row: Row = (cy, 0.0, -sy)
    y_row: Row = (-sp * sy, cp, -sp * cy)
    z_row: Row = (cp * sy, sp, cp * cy)
    first = tuple(cr * a - sr * b for a, b in zip(x_row, y_row, strict=True))
    second = tuple(sr * a + cr * b for a, b in zip(x_row, y_row, strict=True))
    return first, second, z_row  # type: ignore[return-value]


def sum_of(weights: Sequence[float], arrays: Sequence[Floats]) -> Floats:
    """The weighted sum of three arrays, in one order of additions on every machine."""
    total: Floats = arrays[0] * weights[0] + arrays[1] * weights[1] + arrays[2] * weights[2]
    return total


def look(parts: Sequence[Part], matrix: Matrix, u: Floats, v: Floats) -> View:
    """The solid seen through the points (u, v) of the image plane, in units of the solid."""
    shape = np.broadcast_shapes(u.shape, v.shape)
    colors, normals = np.zeros((*shape, 3), np.float32), np.zeros((*shape, 3), np.float32)
    tags, depth = np.full(shape, -1, np.int8), np.full(shape, _FAR)
    for part in parts:
        window = _window(part, matrix, u, v)
        own_u, own_v = u[window], v[window]
        near = depth[window]
        cut, seen = _cut(part, matrix, own_u, own_v, near)
        if not seen.any():
            continue
        points = _points(matrix, own_u[seen], own_v[seen], cut[seen])
        near[seen] = cut[seen]
        colors[window][seen] = part.paint(points)
        normals[window][seen] = _normals(part, matrix, points)
        tags[window][seen] = part.tag
    return View(colors, normals, tags, depth)


def nearest_depth(parts: Sequence[Part], matrix: Matrix, u: Floats, v: Floats) -> Floats:
    """Depth of what is seen through single points (u, v), in units of the solid; inf = nothing."""
    depth: Floats = np.full(u.shape, np.inf)
    for part in parts:
        cut, seen = _cut(part, matrix, u, v, depth)
        depth = np.where(seen, cut, depth)
    return depth


def _window(part: Part, matrix: Matrix, u: Floats, v: Floats) -> tuple[slice, slice]:
    """The part of the grid that the part may cover."""
    reach = max(part.radii)
    x, y = (sum(a * b for a, b in zip(row, part.centre, strict=True)) for row in matrix[:2])
    columns = np.flatnonzero(np.abs(u[0] - x) <= reach)
    rows = np.flatnonzero(np.abs(v[:, 0] - y) <= reach)
    if not len(columns) or not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _cut(part: Part, matrix: Matrix, u: Floats, v: Floats, limit: Floats) -> tuple[Floats, Bools]:
    """Depth of the nearest kept cut in front of ``limit``, and where there is one."""
    offsets = _points(matrix, u, v, None)
    scaled = [(o - c) / r for o, c, r in zip(offsets, part.centre, part.radii, strict=True)]
    ray = [d / r for d, r in zip(matrix[2], part.radii, strict=True)]
    a = ray[0] * ray[0] + ray[1] * ray[1] + ray[2] * ray[2]
    b = sum_of(ray, scaled)
    c = scaled[0] * scaled[0] + scaled[1] * scaled[1] + scaled[2] * scaled[2] - 1
    inside = b * b - a * c
    hit = inside > 0
    root = np.sqrt(np.where(hit, inside, 0))
    near, far = (-b - root) / a, (-b + root) / a
    seen = hit & (near < limit)
    if part.keep is None:
        return near, seen
    kept = seen & part.keep(_points(matrix, u, v, near))
    # where the front of a shell is cut away, one looks at the inside of its back
    behind = hit & ~kept & (far < limit)
    behind &= part.keep(_points(matrix, u, v, far))
    return np.where(kept, near, far), kept | behind


def _points(matrix: Matrix, u: Floats, v: Floats, depth: Floats | None) -> Vector:
    """Points of the image plane (or at a depth) in the frame of the solid."""
    found = []
    for axis in range(3):
        point = matrix[0][axis] * u + matrix[1][axis] * v
        found.append(point if depth is None else point + matrix[2][axis] * depth)
    return found[0], found[1], found[2]


def _normals(part: Part, matrix: Matrix, points: Vector) -> Floats:
    """Outward unit normals in the frame of the viewer, ``[..., 3]``, turned to the viewer."""
    own = [(p - c) / (r * r) for p, c, r in zip(points, part.centre, part.radii, strict=True)]
    length = np.sqrt(own[0] * own[0] + own[1] * own[1] + own[2] * own[2]) + np.float32(1e-9)
    turned = np.stack([sum_of(row, own) / length for row in matrix], axis=-1)
    facing: Floats = np.where(turned[..., 2:] > 0, -turned, turned)
    return facing
