"""Random square crops: all candidates drawn at once, tested against all faces in a few tables.

Shapes: T candidates, N faces. A crop is left, top, side in pixels, whole numbers; boxes are xyxy.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]

_BLOCK_ENDS = (4, 32)
"""The first candidates are tested before the others, because one of them mostly fits."""


def draw_crops(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scales: Sequence[float],
    discrete: bool,
    trials: int,
) -> Ints:
    """Random crops ``[T, 3]`` (left, top, side), uniform in side and position.

    Args:
        rng: the source of chance.
        shape: height and width of the image.
        scales: sides relative to the short edge, (low, high) or, if ``discrete``, all of them.
        discrete: see ``scales``.
        trials: T.

    Returns:
        ``[T, 3]``. A crop lies inside of the image; along an axis where it is larger, it covers the
        image.
    """
    if discrete:
        scale = np.asarray(scales)[rng.integers(len(scales), size=trials)]
    else:
        scale = rng.uniform(scales[0], scales[1], trials)
    sides = np.maximum((min(shape) * scale).astype(np.int64), 1)
    height, width = shape
    room = np.stack([width - sides, height - sides], axis=1)  # below 0 where the crop is larger
    low = np.minimum(room, 0)
    corners = low + (rng.random((trials, 2)) * (np.abs(room) + 1)).astype(np.int64)
    return np.concatenate([corners, sides[:, None]], axis=1)


def centers_inside(boxes: Floats, crops: Ints) -> NDArray[np.bool_]:
    """Whether the center of each box ``[N, 4]`` lies in each crop ``[T, 3]``; bool ``[T, N]``."""
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    low, high = crops[:, None, :2], crops[:, None, :2] + crops[:, None, 2:]
    inside: NDArray[np.bool_] = np.all((centers >= low) & (centers < high), axis=2)
    return inside


def whole_inside(boxes: Floats, crops: Ints) -> NDArray[np.bool_]:
    """Whether each whole box ``[N, 4]`` lies in each crop ``[T, 3]``; bool ``[T, N]``."""
    low, high = crops[:, None, :2], crops[:, None, :2] + crops[:, None, 2:]
    inside: NDArray[np.bool_] = np.all((boxes[:, :2] >= low) & (boxes[:, 2:] <= high), axis=2)
    return inside


def choose_crop(crops: Ints, boxes: Floats, require: str, shape: tuple[int, int]) -> Ints:
    """The first crop that has what is required, else the square around the whole image.

    Args:
        crops: ``[T, 3]``.
        boxes: ``[N, 4]``, the faces that count; without any the first candidate is taken.
        require: ``'whole'`` face, ``'center'`` of a face or ``'nothing'``.
        shape: height and width of the image.

    Returns:
        ``[3]``.
    """
    if require == 'nothing' or not len(boxes):
        return crops[0]
    inside = whole_inside if require == 'whole' else centers_inside
    start = 0
    for end in (*_BLOCK_ENDS, len(crops)):
        fit = inside(boxes, crops[start:end]).any(axis=1)
        if fit.any():
            chosen: Ints = crops[start + int(fit.argmax())]
            return chosen
        start = end
    return np.array([0, 0, max(shape)])
