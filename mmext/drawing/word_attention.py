"""Where a sentence looked for each of its words."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mmext.drawing.colors import Picture
from mmext.drawing.contact_sheet import contact_sheet
from mmext.drawing.heat_maps import draw_heat

_TILE_PX = 112


def word_attention(
    photo: Picture, caption: str, attention: npt.NDArray[np.floating[Any]], columns: int = 9
) -> Picture:
    """A sheet: the photo with the sentence, then a panel for each word.

    Args:
        photo: of the region or image, ``[H, W, 3]``.
        caption: T words.
        attention: ``[T, h, w]``; each panel goes from 0 to the largest value of its word.
        columns: panels in a row.
    """
    tile = _fitted(photo)
    pictures, titles = [tile], [('',)]
    for word, weights in zip(caption.split(), attention, strict=False):
        largest = max(float(weights.max()), 1e-6)
        pictures.append(draw_heat(tile, np.asarray(weights, np.float32) / largest))
        titles.append((word,))
    return contact_sheet(pictures, titles, columns)


def region_attention(
    photo: Picture,
    boxes_xyxy: Sequence[Sequence[float]],
    captions: Sequence[str],
    attention: Sequence[npt.NDArray[np.floating[Any]]],
) -> Picture | None:
    """A row for each region of a photo ``[H, W, 3]``; None without a region.

    Args:
        photo: RGB.
        boxes_xyxy: px of the photo.
        captions: one for each box.
        attention: ``[T, h, w]`` for each.
    """
    rows = []
    for box, caption, weights in zip(boxes_xyxy, captions, attention, strict=True):
        left, top, right, bottom = (round(float(edge)) for edge in box)
        crop = photo[max(top, 0) : max(bottom, 1), max(left, 0) : max(right, 1)]
        if crop.size:
            rows.append(word_attention(crop, caption, weights, 1 + max(len(caption.split()), 1)))
    if not rows:
        return None
    widest = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.asarray(np.vstack(padded), np.uint8)


def _fitted(photo: Picture) -> Picture:
    height, width = photo.shape[:2]
    scale = _TILE_PX / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_LINEAR), np.uint8)
