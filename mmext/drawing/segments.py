"""Panoptic and semantic maps, drawn on pictures.

All pictures are RGB ``[H, W, 3]`` uint8. Every class has one color in all pictures; the
instances of a class differ in shade, by their number.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from mmext.drawing.colors import WHITE, Color, Picture, class_colors, shade
from mmext.drawing.labels import Label, class_name, draw_labels
from mmext.drawing.layout import line_width
from mmext.functional.panoptic_labels import INSTANCE_OFFSET
from mmext.functional.row_runs import row_runs

OPACITY = 0.55
_MIN_NAMED_RATIO = 0.001  # smaller segments, as a part of the picture, are counted in the legend
_INNER_POINT_SIDE_PX = 512  # exact enough to find the middle of a segment

Ids = npt.NDArray[np.integer[Any]]


class _Segments(NamedTuple):
    """A panoptic map, taken apart.

    Attributes:
        ids: ``[S]``, panoptic ids.
        areas_px: ``[S]``.
        index_map: ``[H, W]``, position in ``ids`` of each pixel.
    """

    ids: Ids
    areas_px: npt.NDArray[Any]
    index_map: npt.NDArray[np.int32]


def draw_panoptic(
    image: Picture,
    panoptic_map: Ids,
    classes: Sequence[str],
    palette: Any = None,
    numbered: bool = False,
    named: bool = True,
) -> Picture:
    """The image under colored segments with borders and class names.

    A segment's color is a matter of its id alone: of a model that keeps ids through a video,
    an object keeps its color.

    Args:
        image: ``[H, W, 3]``.
        panoptic_map: ``[H, W]``, ``label + instance number * 1000``; labels from
            ``len(classes)`` on are void and stay uncolored, in gray.
        classes: names in the order of the labels.
        palette: see :func:`mmext.drawing.colors.class_colors`.
        numbered: write the number behind the name of an instance.
        named: write names at all.

    Returns:
        A new picture of the same size.

    Raises:
        ValueError: image and map differ in size, or ids are negative.
    """
    if panoptic_map.shape != image.shape[:2]:
        raise ValueError(
            f'panoptic_map: expected {list(image.shape[:2])} as the image, '
            f'got {list(panoptic_map.shape)}'
        )
    if not panoptic_map.size:
        return image.copy()
    if panoptic_map.min() < 0:
        raise ValueError(f'panoptic_map: expected ids of 0 or more, got {panoptic_map.min()}')
    segments = _taken_apart(panoptic_map)
    colors = class_colors(palette, len(classes))
    fill: list[Color | None] = [
        shade(colors[label], number) if label < len(classes) else None
        for number, label in (divmod(int(i), INSTANCE_OFFSET) for i in segments.ids)
    ]
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    drawn = tinted(np.asarray(gray, np.uint8), segments.index_map, fill)
    drawn[borders(segments.index_map, line_width(image))] = WHITE
    if named:
        large, small = _labels(segments, fill, classes, numbered)
        draw_labels(drawn, large, small, segments.index_map)
    return drawn


def tinted(
    picture: Picture, index_map: npt.NDArray[np.int32], fill: Sequence[Color | None]
) -> Picture:
    """A copy under transparent colors.

    Args:
        picture: ``[H, W, 3]``.
        index_map: ``[H, W]``, position in ``fill`` of each pixel.
        fill: None leaves the pixels as they are.
    """
    colors = np.array([color or (0, 0, 0) for color in fill], np.uint8)
    drawn = cv2.addWeighted(picture, 1 - OPACITY, np.take(colors, index_map, axis=0), OPACITY, 0)
    bare = np.array([color is None for color in fill])
    if bare.any():
        cv2.copyTo(picture, np.take(bare.view(np.uint8), index_map), drawn)
    return np.asarray(drawn, np.uint8)


def borders(index_map: npt.NDArray[np.int32], width_px: int) -> npt.NDArray[np.bool_]:
    """Pixels at which another segment begins to the right or below, and ``width_px`` around."""
    border = np.zeros(index_map.shape, np.uint8)
    border[:, :-1] = index_map[:, :-1] != index_map[:, 1:]
    border[:-1] |= index_map[:-1] != index_map[1:]
    if width_px > 1:
        border = np.asarray(cv2.dilate(border, np.ones((width_px, width_px), np.uint8)))
    return border.view(bool)


def _taken_apart(panoptic_map: Ids) -> _Segments:
    starts, lengths = row_runs(panoptic_map)
    ids, groups = np.unique(panoptic_map.ravel()[starts], return_inverse=True)
    index_map = np.repeat(groups.astype(np.int32), lengths).reshape(panoptic_map.shape)
    return _Segments(ids, np.bincount(groups, lengths), index_map)


def _labels(
    segments: _Segments, fill: Sequence[Color | None], classes: Sequence[str], numbered: bool
) -> tuple[list[Label], list[Label]]:
    """Names to be written, the largest first, and those for the legend alone."""
    large: list[Label] = []
    small: list[Label] = []
    # every step-th pixel is enough for boxes and middles of what is named
    step = max(1, max(segments.index_map.shape) // _INNER_POINT_SIDE_PX)
    coarse = segments.index_map[::step, ::step]
    boxes = ndimage.find_objects(coarse + 1, max_label=len(fill))
    for index in np.argsort(-segments.areas_px, kind='stable').tolist():
        color = fill[index]
        if color is None:
            continue
        number, label = divmod(int(segments.ids[index]), INSTANCE_OFFSET)
        name = class_name(classes, label)
        note = str(number) if numbered and number else ''
        if boxes[index] is None or segments.areas_px[index] < _MIN_NAMED_RATIO * coarse.size * (
            step * step
        ):
            small.append(Label(name, color, (0, 0, 0, 0)))
            continue
        rows, columns = boxes[index]
        x, y = _inner_point(coarse[rows, columns] == index)
        box = (columns.start, rows.start, columns.stop, rows.stop)
        left, top, right, bottom = (step * int(side) for side in box)
        inner = left + step * x, top + step * y
        large.append(Label(name, color, (left, top, right, bottom), note, inner, index))
    return large, small


def _inner_point(mask: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """The pixel (x, y) of a mask that is farthest from its border."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(x) - 1, int(y) - 1
