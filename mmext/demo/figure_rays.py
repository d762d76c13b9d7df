"""Figures seen by rays: which solid is seen in each pixel, and at which point of it.

The projection is parallel. A ray meets a capsule in closed form: its cylinder or one of its
caps, in a frame divided by the radii. All solids of all figures of an image are cut at once, as
one list of pairs of a pixel and a solid that may be seen there; the nearest one is kept.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.demo.figure_charts import surface_coordinates
from mmext.demo.figure_frames import Frame

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_EDGE = 1e-9  # tolerance where cylinder and cap meet
_FAR = 1e9


class PlacedFigure(NamedTuple):
    """A figure in the image, its solids in the order of ``figure_body.SOLIDS``.

    Attributes:
        frames: of the solids, metres from the figure's origin, in the frame of the viewer.
        half_lengths: of their axes, metres.
        radii: of each, metres.
        scale: pixels per metre.
        x, y: of the origin in the image, pixels.
    """

    frames: Sequence[Frame]
    half_lengths: Sequence[float]
    radii: Sequence[tuple[float, float, float]]
    scale: float
    x: float
    y: float


class Surface(NamedTuple):
    """What is seen of figures, one entry for each of n pixels.

    Attributes:
        pixel: number of the pixel, row by row.
        figure, solid: numbers of the figure and its solid.
        depth: metres from the figure's origin, away from the viewer.
        points: x, y, z in the frame of the solid, divided by its radii.
        part, u, v: on the chart.
        normals: of length 1, in the frame of the viewer ``[3, n]``.
    """

    pixel: Ints
    figure: Ints
    solid: Ints
    depth: Floats
    points: tuple[Floats, Floats, Floats]
    part: Ints
    u: Floats
    v: Floats
    normals: Floats


class _Solids(NamedTuple):
    """All solids of all figures, in pixels; one entry each."""

    figure: Ints
    solid: Ints
    matrix: Floats  # [n, 3, 3]
    radii: Floats  # [n, 3]
    reach: Floats  # half length over the radius along the axis
    centre: Floats  # [n, 3], pixels
    scale: Floats


def see_figures(
    figures: Sequence[PlacedFigure],
    size: tuple[int, int],
    limits: Ints | None = None,
) -> Surface:
    """The surface of figures that is seen in an image.

    Args:
        figures: from back to front; a later one hides an earlier one.
        size: width and height of the image.
        limits: ``[h, w]``: figures of smaller numbers are hidden there.
    """
    solids = _solids(figures)
    owner, pixel = _candidates(solids, size)
    if limits is not None:
        kept = solids.figure[owner] >= limits.ravel()[pixel]
        owner, pixel = owner[kept], pixel[kept]
    offset, ray = _rays(solids, owner, pixel, size[0])
    depth = _cut(offset, ray, solids.reach[owner])
    hit = np.flatnonzero(depth < _FAR)
    owner, pixel = owner[hit], pixel[hit]
    offset, ray = [o[hit] for o in offset], [r[hit] for r in ray]
    depth = depth[hit]
    whole = depth / solids.scale[owner] + solids.centre[owner, 2] / solids.scale[owner]
    order = np.lexsort((whole, -solids.figure[owner], pixel))
    first = order[np.diff(pixel[order], prepend=-1) > 0]
    return _surface(
        solids, owner[first], pixel[first], whole[first], _along(offset, ray, depth, first)
    )


def _along(
    offset: Sequence[Floats], ray: Sequence[Floats], depth: Floats, chosen: Ints
) -> tuple[Floats, Floats, Floats]:
    x, y, z = (o[chosen] + r[chosen] * depth[chosen] for o, r in zip(offset, ray, strict=True))
    return x, y, z


def _surface(
    solids: _Solids,
    owner: Ints,
    pixel: Ints,
    depth: Floats,
    points: tuple[Floats, Floats, Floats],
) -> Surface:
    reach, solid = solids.reach[owner], solids.solid[owner]
    part, u, v = surface_coordinates(solid, points, reach + 1)
    beyond = points[1] - np.clip(points[1], -reach, reach)
    radii, matrix = solids.radii[owner], solids.matrix[owner]
    own = [p / radii[:, i] for i, p in enumerate((points[0], beyond, points[2]))]
    length = np.sqrt(own[0] * own[0] + own[1] * own[1] + own[2] * own[2])
    normals = np.stack(
        [
            (matrix[:, i, 0] * own[0] + matrix[:, i, 1] * own[1] + matrix[:, i, 2] * own[2])
            / length
            for i in range(3)
        ]
    )
    return Surface(pixel, solids.figure[owner], solid, depth, points, part, u, v, normals)


def _solids(figures: Sequence[PlacedFigure]) -> _Solids:
    count = [len(figure.frames) for figure in figures]
    scale = np.repeat([figure.scale for figure in figures], count).astype(np.float64)
    radii = np.array([row for figure in figures for row in figure.radii]).reshape(-1, 3)
    half = np.array([length for figure in figures for length in figure.half_lengths])
    origins = np.array([f.origin for figure in figures for f in figure.frames]).reshape(-1, 3)
    shifts = np.repeat(np.array([(f.x, f.y, 0.0) for f in figures]).reshape(-1, 3), count, axis=0)
    return _Solids(
        np.repeat(np.arange(len(figures)), count),
        np.concatenate([np.zeros(0, np.int64), *(np.arange(n) for n in count)]),
        np.array([f.matrix for figure in figures for f in figure.frames]).reshape(-1, 3, 3),
        radii * scale[:, None],
        half / radii[:, 1],
        origins * scale[:, None] + shifts,
        scale,
    )


def _candidates(solids: _Solids, size: tuple[int, int]) -> tuple[Ints, Ints]:
    """Pairs of a solid and a pixel of its bounding box, each ``[n]``."""
    spans = []
    for axis, length in enumerate(size):
        row = solids.matrix[:, axis]
        turned = [row[:, i] * solids.radii[:, i] for i in range(3)]
        squares = turned[0] * turned[0] + turned[1] * turned[1] + turned[2] * turned[2]
        half = np.sqrt(squares) + np.abs(turned[1]) * solids.reach
        low = np.floor(solids.centre[:, axis] - half).astype(np.int64)
        high = np.ceil(solids.centre[:, axis] + half).astype(np.int64)
        spans.append((np.clip(low, 0, length), np.clip(high, 0, length)))
    (left, right), (top, bottom) = spans
    widths = right - left
    counts = widths * (bottom - top)
    owner = np.repeat(np.arange(len(counts)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    row, column = np.divmod(place, np.maximum(widths, 1)[owner])
    return owner, (row + top[owner]) * size[0] + column + left[owner]


def _rays(
    solids: _Solids, owner: Ints, pixel: Ints, width: int
) -> tuple[list[Floats], list[Floats]]:
    """Where a ray passes the middle of its solid and where it goes, divided by the radii."""
    row, column = np.divmod(pixel, width)
    dx = column + 0.5 - solids.centre[owner, 0]
    dy = row + 0.5 - solids.centre[owner, 1]
    scaled = solids.matrix / solids.radii[:, None]
    offset = [scaled[owner, 0, i] * dx + scaled[owner, 1, i] * dy for i in range(3)]
    return offset, [scaled[owner, 2, i] for i in range(3)]


def _cut(offset: Sequence[Floats], ray: Sequence[Floats], reach: Floats) -> Floats:
    """How far along the ray the capsule of radius 1 begins, ``_FAR`` for no cut."""
    (x, y, z), (dx, dy, dz) = offset, ray
    across = dx * dx + dz * dz
    b, c = x * dx + z * dz, x * x + z * z - 1
    root = b * b - across * c
    met = (root > 0) & (across > 0)
    near = (-b - np.sqrt(np.where(met, root, 0))) / np.where(met, across, 1)
    met &= np.abs(y + near * dy) <= reach + _EDGE
    depth = np.where(met, near, _FAR)
    whole = across + dy * dy
    for side in (-1, 1):
        end = side * reach
        middle = y - end
        b_cap = b + middle * dy
        root = b_cap * b_cap - whole * (c + middle * middle)
        met = root > 0
        near = (-b_cap - np.sqrt(np.where(met, root, 0))) / whole
        met &= side * (y + near * dy - end) >= -_EDGE
        depth = np.where(met & (near < depth), near, depth)
    return depth
