"""Surfaces of the persons of an image as one map of the image.

Shapes: n persons, each with part, U and V ``[3, h, w]`` uint8 of the pixels of its box (U and V
times 255); H, W image.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class SurfaceImage(NamedTuple):
    """What each pixel of an image is.

    Attributes:
        part: ``[H, W]`` uint8, 1 to 24, 0 is nobody.
        u: ``[H, W]`` float32, 0 to 1, 0 where nobody is.
        v: likewise.
        person: ``[H, W]`` int32, the number of the person from 1, 0 is nobody.
    """

    part: NDArray[np.uint8]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    person: NDArray[np.int32]


def paste_surfaces(
    surfaces: Sequence[NDArray[np.uint8]],
    boxes_xywh: NDArray[Any],
    size_hw: tuple[int, int],
    scores: NDArray[Any] | None = None,
) -> SurfaceImage:
    """All persons in one map; of two at a pixel the better scored, else the earlier one.

    Args:
        surfaces: of each box.
        boxes_xywh: ``[n, 4]``, whole px; w and h are those of the surfaces.
        size_hw: H and W.
        scores: ``[n]``.
    """
    height, width = size_hw
    iuv = np.zeros((3, height, width), np.uint8)
    person = np.zeros((height, width), np.int32)
    order = np.arange(len(surfaces)) if scores is None else np.argsort(-scores, kind='stable')
    for number in order[::-1].tolist():
        surface = surfaces[number]
        x, y = (int(value) for value in boxes_xywh[number][:2])
        top, left = max(y, 0), max(x, 0)
        bottom, right = min(y + surface.shape[1], height), min(x + surface.shape[2], width)
        if bottom <= top or right <= left:
            continue
        own = surface[:, top - y : bottom - y, left - x : right - x]
        window = slice(top, bottom), slice(left, right)
        seen = own[0] > 0
        iuv[:, *window][:, seen] = own[:, seen]
        person[window][seen] = number + 1
    u, v = (iuv[1:] / np.float32(255)).astype(np.float32)
    return SurfaceImage(iuv[0], u, v, person)
