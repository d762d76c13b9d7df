"""Label maps as row-wise runs: the pixels of a panoptic map seen once, cheaply.

A run is a stretch of one row over which the map does not change. Segments are
connected blobs, so a map has some twenty times fewer runs than pixels: two SIMD
comparisons find them, and sorting, counting and measuring work on the runs.

Shapes: H, W the map, R the runs in row-major order.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.signedinteger[Any]]


def row_runs(*maps: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """Splits maps into the runs over which every one of them is constant.

    Args:
        maps: one or more arrays ``[H, W]`` of equal shape.

    Returns:
        ``starts`` (flat index of the first pixel) and ``lengths`` (pixels), both
        ``[R]``. A run ends at the end of its row. A map without pixels has no run.

    Raises:
        ValueError: the shapes differ or are not two-dimensional.

    >>> starts, lengths = row_runs(np.array([[7, 7, 0], [0, 0, 0]]))
    >>> starts.tolist(), lengths.tolist()
    ([0, 2, 3], [2, 1, 3])
    """
    shapes = {m.shape for m in maps}
    if len(shapes) != 1 or maps[0].ndim != 2:
        raise ValueError(f'maps: expected one shape [H, W], got {sorted(shapes)}')
    is_start = np.zeros(maps[0].shape, dtype=bool)
    is_start[:, :1] = True
    for m in maps:
        is_start[:, 1:] |= m[:, 1:] != m[:, :-1]
    starts = np.flatnonzero(is_start)
    return starts, np.diff(starts, append=is_start.size)


def group_extents(
    starts: IntArray, lengths: IntArray, groups: IntArray, num_groups: int, width: int
) -> IntArray:
    """The smallest window around all runs of each group.

    Args:
        starts: first pixel of each run, ``[R]``, from :func:`row_runs`.
        lengths: pixels of each run, ``[R]``.
        groups: group of each run, ``[R]`` in ``[0, num_groups)``.
        num_groups: number of groups G.
        width: W of the map.

    Returns:
        ``[G, 4]`` as x1, y1, x2, y2 in pixels, ends exclusive; a group without
        runs has x1 > x2.
    """
    ys, xs = np.divmod(starts, width)
    limit = np.iinfo(np.int64).max
    extents = np.empty((num_groups, 4), dtype=np.int64)
    extents[:, :2], extents[:, 2:] = limit, 0
    np.minimum.at(extents[:, 0], groups, xs)
    np.minimum.at(extents[:, 1], groups, ys)
    np.maximum.at(extents[:, 2], groups, xs + lengths)
    np.maximum.at(extents[:, 3], groups, ys + 1)
    return extents
