"""Sizes of lines and letters, and how pictures are put together: rows, sheets, titles."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from mmext.drawing.colors import INK, WHITE, Color, Picture
from mmext.drawing.fonts import text_mask

GAP_PX = 4
LONGEST_SIDE_PX, SMALLEST_SIDE_PX = 640, 256  # of a picture to look at


def line_width(picture: Picture) -> int:
    """Pixels of a line that is seen on a picture of this size."""
    return max(1, round(min(picture.shape[:2]) / 400))


def text_size(picture: Picture) -> int:
    """Pixels of letters that are read on a picture of this size."""
    return max(10, round(min(picture.shape[:2]) / 38))


def viewing_size(frame_hw: tuple[int, int]) -> tuple[int, int]:
    """Height and width at which a frame is looked at: large ones shrink, tiny ones grow."""
    height, width = frame_hw
    scale = min(1.0, LONGEST_SIDE_PX / max(height, width))
    if max(height, width) < SMALLEST_SIDE_PX:  # names would cover the objects
        scale = math.ceil(SMALLEST_SIDE_PX / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(picture: Picture, size_hw: tuple[int, int]) -> Picture:
    """A picture stretched to a size."""
    if picture.shape[:2] == size_hw:
        return picture
    smaller = size_hw[0] < picture.shape[0] and size_hw[1] < picture.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size_hw[::-1], interpolation=method), np.uint8)


def side_by_side(pictures: Sequence[Picture], titles: Sequence[str] | None = None) -> Picture:
    """Pictures in one row, from left to right, with a title above each.

    Args:
        pictures: of any sizes; scaled to the height of the first.
        titles: one per picture, or None for no titles.

    Raises:
        ValueError: no pictures, or not as many titles.
    """
    if not pictures or (titles is not None and len(titles) != len(pictures)):
        raise ValueError(
            f'titles: expected one for each of {len(pictures)} (at least 1) pictures, got {titles}'
        )
    height = pictures[0].shape[0]
    columns: list[Picture] = []
    for index, picture in enumerate(pictures):
        width = max(1, round(picture.shape[1] * height / picture.shape[0]))
        column = resized(picture, (height, width))
        if titles is not None:
            column = np.vstack([_title_bar(titles[index], width, height), column])
        columns.append(column)
    return joined(columns, axis=1)


def joined(pictures: Sequence[Picture], axis: int) -> Picture:
    """Pictures that fit, below (axis 0) or beside (axis 1) each other, white between them."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP_PX
    gap = np.full(shape, 255, np.uint8)
    return np.concatenate([p for picture in pictures for p in (gap, picture)][1:], axis=axis)


def sheet(pictures: Sequence[Picture], columns: int = 1) -> Picture:
    """Pictures of any sizes in rows, on white."""
    width = max(picture.shape[1] for picture in pictures)
    rows = [pictures[start : start + columns] for start in range(0, len(pictures), columns)]
    return np.vstack([_row(row, width, columns) for row in rows])


def paint_ink(
    picture: Picture, ink: Picture, left_top_xy: tuple[int, int], color: Color = WHITE
) -> None:
    """Letters, as :func:`mmext.drawing.fonts.text_mask` has them, in a color; in place.

    What is outside the picture is cut.
    """
    x, y = left_top_xy
    ink = ink[max(0, -y) :, max(0, -x) :]
    x, y = max(x, 0), max(y, 0)
    ground = picture[y : y + ink.shape[0], x : x + ink.shape[1]]
    alpha = ink[: ground.shape[0], : ground.shape[1], None] / np.float32(255)
    ground[:] = np.round(ground + (np.array(color, np.float32) - ground) * alpha)


def _row(pictures: Sequence[Picture], width: int, columns: int) -> Picture:
    height = max(picture.shape[0] for picture in pictures)
    gap = GAP_PX if columns > 1 else 0
    row = np.full((height + GAP_PX, columns * (width + gap) - gap, 3), 255, np.uint8)
    for index, picture in enumerate(pictures):
        left = index * (width + gap)
        row[: picture.shape[0], left : left + picture.shape[1]] = picture
    return row


def _title_bar(title: str, width: int, picture_height: int) -> Picture:
    bar: Picture = np.full((max(16, picture_height // 14), width, 3), INK, np.uint8)
    size = max(10, round(bar.shape[0] * 0.55))
    ink = text_mask(title, size, width)
    paint_ink(bar, ink, ((width - ink.shape[1]) // 2, (bar.shape[0] - ink.shape[0]) // 2))
    return bar
