"""Points of instances under geometric changes of their image.

Frame: that of the boxes. x to the right, y down, pixels, (0, 0) is the upper left *corner* of
the image and (width, height) its lower right one; a horizontal flip takes x to ``width - x``.

Shapes: N instances, K points. Points are ``[N, K, D]`` with x, y first; a third number is a
depth in pixels. Visibility is ``[N, K]``: 0 = not annotated, 1 = occluded, 2 = visible.

In a flipped image a left hand is a right hand. So every map that changes the handedness of the
image (determinant below 0) renames the points as well, by a permutation.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Array = TypeVar('Array', Floats, torch.Tensor)

UNKNOWN, OCCLUDED, VISIBLE = 0, 1, 2

_ZERO, _ONE = 1e-6, 1.1e-5  # how far the last row of an affine map may be from 0, 0, 1


def flip_permutation(num_points: int, flip_pairs: Sequence[Sequence[int]]) -> Ints:
    """Which point takes the name of each point in the flipped image, ``[K]``.

    Args:
        num_points: K.
        flip_pairs: pairs of points that swap; a point in no pair keeps its name.

    Raises:
        ValueError: a pair is no pair, names a point that does not exist, or a point is in two.

    >>> flip_permutation(5, [(0, 1), (3, 4)])
    array([1, 0, 2, 4, 3])
    """
    permutation = np.arange(num_points)
    for pair in flip_pairs:
        if len(pair) != 2 or not all(0 <= point < num_points for point in pair):
            raise ValueError(f'flip_pairs: expected two of 0 to {num_points - 1}, got {pair}')
        first, second = pair
        if permutation[first] != first or permutation[second] != second:
            raise ValueError(f'flip_pairs: a point of {tuple(pair)} is in another pair too')
        permutation[[first, second]] = second, first
    return permutation


mirror_permutation = flip_permutation  # its name until version 0.2


def flip_points(points: Array, width_px: float, permutation: Ints | torch.Tensor) -> Array:
    """The points in the horizontally flipped image, renamed; numpy or torch.

    Args:
        points: ``[..., K, D]``.
        width_px: of the image.
        permutation: ``[K]``, see :func:`flip_permutation`.
    """
    flipped: Array = points[..., permutation, :]  # a copy
    flipped[..., 0] = width_px - flipped[..., 0]
    return flipped


def turns_handedness(matrix: Floats) -> bool:
    """Whether an affine map ``[3, 3]`` flips the image."""
    return _determinant(np.asarray(matrix, np.float64)) < 0


def warp_points(points: Floats, matrix: Floats, permutation: Ints | None = None) -> Floats:
    """The points after an affine map, renamed if it flips the image.

    Args:
        points: ``[..., K, D]``; a depth is scaled by the mean scale of the map.
        matrix: ``[3, 3]``, acts on columns (x, y, 1).
        permutation: ``[K]``, see :func:`flip_permutation`; None keeps all names.

    Returns:
        As ``points``, in its type.

    Raises:
        ValueError: the map is not affine.
    """
    exact = np.asarray(matrix, np.float64)
    if exact.shape != (3, 3) or not _is_last_row(*exact[2].tolist()):
        raise ValueError(f'matrix: expected an affine map [3, 3], got {exact.tolist()}')
    if permutation is not None and turns_handedness(exact):
        points = points[..., permutation, :]
    warped = np.asarray(points, np.float64).copy()
    warped[..., :2] = warped[..., :2] @ exact[:2, :2].T + exact[:2, 2]
    if warped.shape[-1] > 2:
        warped[..., 2:] *= np.sqrt(abs(_determinant(exact)))
    return warped.astype(points.dtype)


def is_inside(points: Array, shape: tuple[int, int]) -> Any:
    """Which points ``[..., K, D]`` lie in an image of ``shape`` (height, width), borders included.

    Returns:
        ``[..., K]`` bool.
    """
    x, y = points[..., 0], points[..., 1]
    return (x >= 0) & (y >= 0) & (x <= shape[1]) & (y <= shape[0])


def hide_outside(points: Floats, visible: Floats, shape: tuple[int, int]) -> Floats:
    """The visibility ``[..., K]`` of points ``[..., K, D]``, ``UNKNOWN`` outside of the image.

    ``shape`` is (height, width).
    """
    return np.where(is_inside(points, shape), visible, np.asarray(UNKNOWN, visible.dtype))


def clamp_points(points: Floats, shape: tuple[int, int]) -> Floats:
    """The points ``[..., K, D]``, moved to the nearest border where they are outside of the image.

    ``shape`` is (height, width).
    """
    clamped = points.copy()
    clamped[..., 0] = np.clip(points[..., 0], 0, shape[1])
    clamped[..., 1] = np.clip(points[..., 1], 0, shape[0])
    return clamped


def _determinant(matrix: Floats) -> float:
    """That of the linear part of an affine map; numpy's takes ten times as long."""
    (a, b), (c, d) = matrix[:2, :2].tolist()
    return float(a * d - b * c)


def _is_last_row(x: float, y: float, one: float) -> bool:
    return abs(x) <= _ZERO and abs(y) <= _ZERO and abs(one - 1) <= _ONE
