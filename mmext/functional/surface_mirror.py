"""Mirrored surface coordinates, derived from a mesh whose mirror image is known vertex by vertex.

(U, V) on a part of the body becomes other coordinates on the part of the other side when the
image is mirrored. For a point of a chart: its nearest vertex, the vertex on the other side, that
one's (U, V).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


def derive_symmetry_tables(
    part: Ints, u: Floats, v: Floats, mirror: Ints, num_parts: int = 24, side: int = 256
) -> tuple[Floats, Floats]:
    """Tables of mirrored U and V, each ``[num_parts, side, side]``; rows are V, columns U.

    Entry ``[p - 1, b, a]`` belongs to U = a / (side - 1) and V = b / (side - 1) of part p. The
    tables are exact to the distance of the vertices on the charts.

    Args:
        part: of each vertex ``[V]``, 1 to ``num_parts``.
        u: ``[V]``, 0 to 1.
        v: ``[V]``, 0 to 1.
        mirror: the vertex on the other side ``[V]``.
        num_parts: of the surface.
        side: entries along U and V.

    Raises:
        ValueError: a part has no vertex, or the mirror image of one is not of one part.
    """
    steps = np.arange(side) / (side - 1)
    rows, columns = np.meshgrid(steps, steps, indexing='ij')
    grid = np.stack([columns.ravel(), rows.ravel()], axis=1)
    tables = np.zeros((2, num_parts, side, side))
    for number in range(1, num_parts + 1):
        own = np.flatnonzero(part == number)
        if not len(own):
            raise ValueError(f'part: expected vertices of all {num_parts} parts, none of {number}')
        if len(np.unique(part[mirror[own]])) != 1:
            raise ValueError(f'mirror: the vertices of part {number} lead to several parts')
        nearest = own[cKDTree(np.stack([u[own], v[own]], axis=1)).query(grid)[1]]
        for table, values in zip(tables, (u, v), strict=True):
            table[number - 1] = values[mirror[nearest]].reshape(side, side)
    return tables[0], tables[1]
