"""The surface of the figures: vertices on the charts, in the pose of rest, and their geodesics.

Every chart carries a grid of vertices, in the middle of equal cells of U and V. The grid of a
solid is joined around its axis, the solids where they meet. The distance of two vertices is that
along the edges of this mesh (Dijkstra): this is the definition of distance for this surface.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from mmext.demo.figure_body import SOLIDS, Angles, Shape, build_body, place_body, place_solids
from mmext.demo.figure_charts import (
    CHARTS,
    SOLID_OF_PART,
    angle_of,
)
from mmext.demo.figure_frames import direction
from mmext.demo.figure_poses import TURN
from mmext.formats.surface_files import MIRRORED_PARTS, NUM_PARTS, TABLE_SIDE, SurfaceMesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# columns of each chart and rows along the axis
_GRIDS = {
    'torso': (12, 16),
    'head': (10, 10),
    'upper_arm': (5, 10),
    'lower_arm': (5, 9),
    'hand': (8, 7),
    'upper_leg': (8, 14),
    'lower_leg': (6, 13),
    'foot': (8, 9),
}
_REST: dict[str, Angles] = {
    f'{side}_{bone}': (0.0, outward, 0.0)
    for side in ('left', 'right')
    for bone, outward in (('upper_arm', 0.7), ('upper_leg', 0.12))
}
_REACH = 0.055
"""Vertices of two solids of one joint are joined up to this distance, metres."""

# of DensePose's evaluation, metres on a person of 1.7 m: torso, hands, feet, upper and lower
# legs, upper and lower arms, head
_KAPPAS = (0.351, 0.107, 0.126, 0.237, 0.173, 0.142, 0.128, 0.150)
_KAPPA_OF_PART = (*(0, 1, 1, 2, 2, 3, 3), *([4] * 4), *([5] * 4), *([6] * 4), *([7] * 4), 8, 8)


@cache
def figure_surface() -> SurfaceMesh:
    """The surface of all figures; not to be changed."""
    vertices, part, u, v, mirror, grids = _vertices()
    triangles = np.concatenate([_triangles(grid) for grid in grids])
    edges = np.concatenate([*(_grid_edges(grid) for grid in grids), _joints(vertices, grids)])
    kappa = np.array([0.0, *(_KAPPAS[group - 1] for group in _KAPPA_OF_PART[1:])])
    return SurfaceMesh(vertices, part, u, v, mirror, triangles, kappa, _geodesics(vertices, edges))


def symmetry_tables() -> tuple[Floats, Floats]:
    """Mirrored U and V of every cell of the charts, each ``[24, 256, 256]``; rows are V.

    Exact: the charts are made so that the mirror image of (U, V) is (1 - U, V).
    """
    steps = np.arange(TABLE_SIDE) / (TABLE_SIDE - 1)
    shape = NUM_PARTS, TABLE_SIDE, TABLE_SIDE
    mirrored_u = np.broadcast_to(1 - steps[None, None], shape)
    return mirrored_u.copy(), np.broadcast_to(steps[None, :, None], shape).copy()


def _vertices() -> tuple[Floats, Ints, Floats, Floats, Ints, list[Ints]]:
    """Places, parts, U, V and mirror images of the vertices; of each solid ``[rows, columns]``."""
    bones = build_body(Shape())
    frames = place_solids(bones, place_body(bones, _REST))
    solid_of = {bone.name: bone.solid for bone in bones}
    places: list[tuple[float, float, float]] = []
    labels: list[tuple[int, float, float]] = []
    first: dict[int, int] = {}
    grids = []
    for name, frame in zip(SOLIDS, frames, strict=True):
        solid = solid_of[name]
        columns, rows = _grid_size(name)
        reach = solid.half_length / solid.radii[1]
        blocks = []
        for part in CHARTS[name].parts:
            first[part] = len(places)
            for row in range(rows):
                v = (row + 0.5) / rows
                y = (2 * v - 1) * (reach + 1)
                beyond = max(abs(y) - reach, 0.0)
                ring = float(np.sqrt(1 - beyond * beyond))
                for column in range(columns):
                    u = (column + 0.5) / columns
                    cos, sin = direction(TURN * angle_of(part, u))
                    unit = ring * cos, y, -ring * sin
                    x, y_, z = (a * b for a, b in zip(unit, solid.radii, strict=True))
                    places.append(frame.point((x, y_, z)))
                    labels.append((part, u, v))
            blocks.append(first[part] + np.arange(rows * columns).reshape(rows, columns))
        grids.append(np.concatenate(blocks, axis=1))
    charted = np.array(labels)
    parts = charted[:, 0].astype(np.int64)
    return np.array(places), parts, charted[:, 1], charted[:, 2], _mirror(first), grids


def _grid_size(name: str) -> tuple[int, int]:
    return _GRIDS[name.removeprefix('left_').removeprefix('right_')]


def _mirror(first: dict[int, int]) -> Ints:
    """The vertex on the other side: the other part, its columns from behind."""
    counts = {part: _grid_size(SOLIDS[SOLID_OF_PART[part]]) for part in first}
    mirror = np.zeros(sum(rows * columns for columns, rows in counts.values()), np.int64)
    for part, start in first.items():
        columns, rows = counts[part]
        own = np.arange(rows * columns).reshape(rows, columns)
        mirror[start + own] = first[MIRRORED_PARTS[part]] + own[:, ::-1]
    return mirror


def _triangles(numbers: Ints) -> Ints:
    """Two for each cell of a grid that is closed around the axis ``[T, 3]``."""
    corner, right = numbers, np.roll(numbers, -1, axis=1)
    a, b, c, d = (part.ravel() for part in (corner[:-1], right[:-1], corner[1:], right[1:]))
    return np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)])


def _grid_edges(numbers: Ints) -> Ints:
    """To the neighbours along rows, columns and diagonals; over both ends ``[E, 2]``."""
    right, left = np.roll(numbers, -1, axis=1), np.roll(numbers, 1, axis=1)
    pairs = [(numbers, right), (numbers[:-1], numbers[1:])]
    pairs += [(numbers[:-1], right[1:]), (numbers[:-1], left[1:])]
    opposite = np.roll(numbers, numbers.shape[1] // 2, axis=1)
    pairs += [(numbers[row], opposite[row]) for row in (0, -1)]
    return np.concatenate([np.stack([a.ravel(), b.ravel()], 1) for a, b in pairs])


def _joints(vertices: Floats, grids: list[Ints]) -> Ints:
    """Edges between solids that meet in a joint ``[E, 2]``."""
    found = []
    for bone in build_body(Shape()):
        if bone.parent is None:
            continue
        ends = [grids[SOLIDS.index(name)].ravel() for name in (bone.name, bone.parent)]
        apart = vertices[ends[0]][:, None] - vertices[ends[1]][None]
        near = _lengths(apart) <= _REACH
        own, other = np.nonzero(near)
        found.append(np.stack([ends[0][own], ends[1][other]], 1))
    return np.concatenate(found)


def _lengths(apart: Floats) -> Floats:
    x, y, z = apart[..., 0], apart[..., 1], apart[..., 2]
    lengths: Floats = np.sqrt(x * x + y * y + z * z)
    return lengths


def _geodesics(vertices: Floats, edges: Ints) -> Floats:
    """The distances of all pairs i > j along the edges, packed."""
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    lengths = _lengths(vertices[edges[:, 0]] - vertices[edges[:, 1]])
    count = len(vertices)
    graph = coo_matrix((lengths, (edges[:, 0], edges[:, 1])), (count, count)).tocsr()
    whole = dijkstra(graph, directed=False)
    whole = np.minimum(whole, whole.T)  # both ways around, to the last bit
    packed: Floats = whole[np.tril_indices(count, -1)].astype(np.float32)
    return packed
