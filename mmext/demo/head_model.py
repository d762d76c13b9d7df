"""The shape of all generated heads: parts, landmarks and mesh in one frame.

Unit: about half the height of a head; origin in its middle, x to the right and y down as the
viewer of the front sees it, z away from the viewer: the face is at negative z. Landmarks and
vertices are points of the very surface that is drawn.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmext.demo.solids import Part, Row, Vector, nearest_depth, turn
from mmext.demo.textures import Floats

Points = NDArray[np.float64]

CRANIUM: tuple[Row, Row] = ((0.0, -0.22, 0.06), (0.80, 0.80, 0.92))
FACE: tuple[Row, Row] = ((0.0, 0.14, -0.10), (0.68, 0.89, 0.80))
NOSE: tuple[Row, Row] = ((0.0, 0.16, -0.86), (0.125, 0.24, 0.20))
EARS: tuple[tuple[Row, Row], ...] = (
    ((-0.79, 0.04, 0.02), (0.09, 0.20, 0.13)),
    ((0.79, 0.04, 0.02), (0.09, 0.20, 0.13)),
)

EYES = ((-0.30, -0.10), (0.30, -0.10))
EXPRESSIONS = ('neutral', 'smile', 'surprise', 'frown')


class Mouth(NamedTuple):
    """The mouth of an expression: corners at (-half_width, y) and (half_width, y).

    Attributes:
        half_width: of the mouth.
        y: of the corners.
        bow: how far its middle is below the corners.
        gape: how far it is open in the middle.
    """

    half_width: float
    y: float
    bow: float
    gape: float


MOUTHS = {
    'neutral': Mouth(0.24, 0.54, 0.02, 0.0),
    'smile': Mouth(0.31, 0.49, 0.15, 0.09),
    'surprise': Mouth(0.17, 0.56, 0.03, 0.24),
    'frown': Mouth(0.24, 0.61, -0.12, 0.0),
}

MESH_ROWS, MESH_COLUMNS = 11, 9
MESH_TOP, MESH_BOTTOM = -0.50, 0.97
MESH_SIDE = 0.88
"""How far the mesh goes to the side, as a part of the way to the silhouette of the front view."""
BOX_TOP, BOX_BOTTOM = -0.62, 1.02
_MOUTH_REACH = 0.38


@dataclass(frozen=True)
class HeadPoints:
    """The points of a head in its own frame.

    Attributes:
        landmarks: ``[5, 3]``, left eye, right eye, nose, left and right corner of the mouth.
        mesh: ``[V, 3]``.
        outline: ``[n, 3]``, points all over the face, whose bounds are its box.
    """

    landmarks: Points
    mesh: Points
    outline: Points


def shape_parts() -> list[Part]:
    """The parts that make the face's surface, without colors."""
    return [Part(centre, radii, _colorless) for centre, radii in (CRANIUM, FACE, NOSE)]


@cache
def head_points(expression: str) -> HeadPoints:
    """Landmarks, mesh and outline of a head with that expression; not to be changed."""
    mouth = MOUTHS[expression]
    flat = np.array([*EYES, (0.0, 0.20), (-mouth.half_width, mouth.y), (mouth.half_width, mouth.y)])
    landmarks = _on_surface(flat)
    rows = MESH_TOP + (MESH_BOTTOM - MESH_TOP) * np.arange(MESH_ROWS) / (MESH_ROWS - 1)
    mesh = _with_mouth(_grid(rows, MESH_COLUMNS, MESH_SIDE), mouth)
    outline = _grid(BOX_TOP + (BOX_BOTTOM - BOX_TOP) * np.arange(21) / 20, 21, 0.985)
    return HeadPoints(landmarks, _on_surface(mesh), _on_surface(outline))


def mesh_flip_pairs() -> list[tuple[int, int]]:
    """Vertices that swap in mirror images: the columns, from the outside in."""
    return [
        (row * MESH_COLUMNS + column, row * MESH_COLUMNS + MESH_COLUMNS - 1 - column)
        for row in range(MESH_ROWS)
        for column in range(MESH_COLUMNS // 2)
    ]


def mesh_triangles() -> list[tuple[int, int, int]]:
    """Two for each cell of the grid of vertices."""
    triangles = []
    for row in range(MESH_ROWS - 1):
        for column in range(MESH_COLUMNS - 1):
            corner = row * MESH_COLUMNS + column
            below = corner + MESH_COLUMNS
            triangles += [(corner, corner + 1, below), (corner + 1, below + 1, below)]
    return triangles


def _colorless(points: Vector) -> Floats:
    return np.zeros((*points[0].shape, 3), np.float32)


def _grid(rows: Points, columns: int, side: float) -> Points:
    """Points x, y in rows across the front of the face, ``[rows * columns, 2]``."""
    steps = 2 * np.arange(columns) / (columns - 1) - 1
    half_widths = [side * _half_width(float(y)) for y in rows]
    return np.array([(x * w, y) for y, w in zip(rows, half_widths, strict=True) for x in steps])


def _half_width(y: float) -> float:
    """Of the face's front view at a height."""
    widths = []
    for centre, radii in (CRANIUM, FACE):
        share = (y - centre[1]) / radii[1]
        widths.append(radii[0] * float(np.sqrt(max(1 - share * share, 0.0))))
    return max(widths)


def _with_mouth(flat: Points, mouth: Mouth) -> Points:
    """The points with those near the corners of the mouth moved along with them."""
    neutral, moved = MOUTHS['neutral'], flat.copy()
    shift = np.array([mouth.half_width - neutral.half_width, mouth.y - neutral.y])
    for side in (-1, 1):
        dx, dy = flat[:, 0] - side * neutral.half_width, flat[:, 1] - neutral.y
        near = np.clip(1 - (dx * dx + dy * dy) / (_MOUTH_REACH * _MOUTH_REACH), 0, 1)
        weight = near * near
        moved[:, 0] += weight * side * shift[0]
        moved[:, 1] += weight * shift[1]
    return moved


def _on_surface(flat: Points) -> Points:
    """Points x, y put onto the front of the head, ``[n, 3]``."""
    x, y = flat[:, 0], flat[:, 1]
    return np.stack([x, y, nearest_depth(shape_parts(), turn(0, 0, 0), x, y)], axis=1)
