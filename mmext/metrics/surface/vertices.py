"""Which vertex of the surface (I, U, V) means: the nearest one on the chart of the part.

Predictions have coordinates of 8 bits, so that a table of all of them is exact.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mmext.formats.surface_files import NUM_PARTS, TABLE_SIDE, SurfaceMesh

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NOWHERE = -1
_NOT_ASKED = -2
_APART = 10  # between parts, where a chart has 0 to 1
_CANDIDATES = 4  # nearest vertices among which the first of equals is chosen


class VertexLookup:
    """Vertices of a surface by part and chart coordinates.

    Args:
        mesh: the surface.
    """

    def __init__(self, mesh: SurfaceMesh) -> None:
        self.mesh = mesh
        charted = [_APART * mesh.part, mesh.u, mesh.v]
        self._charted = np.stack(charted, axis=1).astype(np.float64)  # [V, 3]
        self._tree = cKDTree(self._charted)
        shape = NUM_PARTS + 1, TABLE_SIDE, TABLE_SIDE  # part, V and U times 255
        self._table = np.full(shape, _NOT_ASKED, np.int32)  # filled where it is read
        self._table[0] = NOWHERE

    def of_points(self, part: Ints, uv: Floats) -> Ints:
        """The vertices of annotated points ``[n]``, ``NOWHERE`` for parts that have none.

        Args:
            part: ``[n]``.
            uv: ``[n, 2]``, 0 to 1.
        """
        if not len(part):
            return np.zeros(0, np.int64)
        places = np.concatenate([_APART * part[:, None], uv], axis=1)
        count = min(_CANDIDATES, len(self._charted))
        _, near = self._tree.query(places, k=range(1, count + 1))
        near = np.sort(near, axis=1)  # the first of equals
        apart = self._charted[near] - places[:, None]
        distances = np.sqrt(apart[..., 1] ** 2 + apart[..., 2] ** 2)
        distances[apart[..., 0] != 0] = np.inf
        best = distances.argmin(1)[:, None]
        found = np.take_along_axis(near, best, axis=1)[:, 0]
        is_known = np.isfinite(np.take_along_axis(distances, best, axis=1)[:, 0]) & (part > 0)
        vertices: Ints = np.where(is_known, found, NOWHERE)
        return vertices

    def of_pixels(self, iuv: NDArray[np.uint8]) -> Ints:
        """The vertices of predicted pixels ``[n]`` of ``[3, n]``, ``NOWHERE`` for part 0."""
        part, u, v = iuv
        found = self._table[part, v, u]
        new = np.flatnonzero(found == _NOT_ASKED)
        if len(new):
            asked = np.unique(iuv[:, new], axis=1).astype(np.int64)
            nearest = self.of_points(asked[0], asked[1:].T / (TABLE_SIDE - 1))
            self._table[asked[0], asked[2], asked[1]] = nearest
            found = self._table[part, v, u]
        vertices: Ints = found.astype(np.int64)
        return vertices
